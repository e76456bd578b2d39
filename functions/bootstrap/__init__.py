"""What the first deployment puts into the table."""
