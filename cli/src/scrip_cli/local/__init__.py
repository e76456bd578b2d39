"""The local stack: template.yaml, built and deployed by SAM on ministack, with users to try it.

`commands` has the commands and `lifecycle` the order of the steps. `build` and `deploy` drive SAM,
`process` and `server` drive ministack, `ministack_gaps` fills in what it lacks, `demo` makes users
and tokens, `webhook_secrets` makes signing secrets, `printing` prints.
"""
