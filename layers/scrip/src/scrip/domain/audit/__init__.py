"""The audit's rules, which share none with those of the ledger."""
