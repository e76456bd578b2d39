"""The audit's rules, which share nothing with those of the ledger."""
