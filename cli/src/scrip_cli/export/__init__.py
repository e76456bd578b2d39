"""`scrip export`: the ledger of all accounts as a file."""
