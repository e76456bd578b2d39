"""The local stack: template.yaml, built and deployed by SAM on ministack, with users to try it.

`commands` is the way in and `lifecycle` the order of things. `build` and `deploy` drive SAM,
`process` and `server` drive ministack, `ministack_gaps` fills in what it lacks, `demo` makes people
and tokens, `webhook_secrets` what proves a webhook, `report` prints.
"""
