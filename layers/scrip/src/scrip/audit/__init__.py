"""The audit of accounts."""
