"""Giving messages that waited to the accounts that have appeared since."""
