"""`scrip secrets`: the webhooks' signing secrets, and the key for Stripe's API."""
