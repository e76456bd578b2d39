"""`scrip seed`: demo accounts with a month of plausible use."""
