"""Archive, usage and events, from the table's stream."""
