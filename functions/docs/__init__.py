"""What anybody may read: health and the API's documentation."""
