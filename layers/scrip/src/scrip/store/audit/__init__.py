"""What the audit reads of the table, and how far it has come."""
