"""Starting the monthly resets that are due."""
