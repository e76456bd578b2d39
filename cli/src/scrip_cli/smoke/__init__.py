"""`scrip smoke`: proves a deployed stack by using it, and removes what it made.

`trial` is one run: its callers, and what to undo. `parts` checks what CloudFormation made, `people`
lets callers in, `account` uses an account, `following` checks what follows from that: webhooks,
events, usage, the archive. `times` reads cold and warm starts from the logs.
"""
