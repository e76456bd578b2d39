"""`scrip accounts`, `scrip entries` and `scrip backfill`: accounts, one or many."""
