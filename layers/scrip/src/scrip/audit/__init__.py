"""The audit: of an account, and of all accounts in rounds."""
