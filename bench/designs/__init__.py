"""Five ways to take credits for a request, behind the same API.

Each is a module with `NAME`, `app` and `lambda_handler`, like a function's handler, and

- `open_account(table, account_id, credits, now)`, which writes an account with at least these
- `credits_left(table, account_id)`, which returns its credits
"""
