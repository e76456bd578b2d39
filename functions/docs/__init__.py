"""Health and the API's documentation, for anyone."""
