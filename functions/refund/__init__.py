"""Giving credits back for work that failed."""
