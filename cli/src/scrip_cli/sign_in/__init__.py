"""`scrip admin` and `scrip token`: people and programs of the stack's user pool."""
