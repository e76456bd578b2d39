"""`scrip seed`: demo accounts with three months of plausible use."""
