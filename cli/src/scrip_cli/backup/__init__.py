"""`scrip backup` and `scrip restore`: a whole table as a folder, and back."""
