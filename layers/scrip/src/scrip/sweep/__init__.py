"""The sweep: renewals of accounts that nobody touches."""
