"""What the audit reads from the table, and the progress that it saves."""
