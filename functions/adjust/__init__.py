"""What admins change in an account."""
