"""The environment of the simulated functions: the variables in template.yaml, fake secrets."""

from __future__ import annotations

SIGNUP_CREDITS = 50
DIRECTORY_PAGE = 1
"""How many accounts the sweep reads at once: one, so that a worker's time ends between pages."""

HOLD_CALLS_MAX = 4
"""How often a user may open, extend and release holds an hour: a limit that runs reach."""

SECRET = "whsec_c2ltdWxhdGVkLXNlY3JldC1vZi0zMi1ieXRlcy4uLi4="
"""The webhooks' signing secret."""

POOL_ID = "simulated"
"""The stack's own user pool."""

MAILBOX_KEY = b"simulated"
QUEUE_URL = "https://simulated/renew"

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "simulated",
    "AWS_SECRET_ACCESS_KEY": "simulated",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "TABLE_NAME": "scrip",
    "SIGNUP_CREDITS": str(SIGNUP_CREDITS),
    "WEBHOOK_SECRETS": "simulated",
    "USER_POOL_ID": POOL_ID,
    "RENEW_QUEUE_URL": QUEUE_URL,
    "POWERTOOLS_SERVICE_NAME": "scrip",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    "PYTHONHASHSEED": "0",  # makes the order of sets repeatable
}
