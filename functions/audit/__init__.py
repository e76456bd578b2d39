"""Auditing all accounts every day."""
