"""Four ways to take credits for a request, behind the same door: only what they do there differs.

Each is a module with `NAME`, `app` and `lambda_handler`, as a function has them, and

- `open_account(table, account_id, credits, now)`: write an account that has at least so many
- `credits_left(table, account_id)`: how many it has
"""
