"""`scrip accounts restore`: put back what is missing of one account, or was edited by hand."""
