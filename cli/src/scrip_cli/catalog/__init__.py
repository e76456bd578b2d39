"""`scrip catalog`: plans and features as a file under version control."""
