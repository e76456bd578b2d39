"""`scrip audit`: proves from the table alone that every account matches its entries."""
