"""What admins ask about all accounts together."""
