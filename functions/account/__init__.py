"""Reading an account and its ledger."""
