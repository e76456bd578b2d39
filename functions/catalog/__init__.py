"""What features cost and what plans give, and how admins change that."""
