"""`scrip webhooks`: signed test events."""
