"""The environment of the simulated functions: what template.yaml sets, and nobody's secrets."""

from __future__ import annotations

SIGNUP_CREDITS = 50
HOLD_CALLS_MAX = 4
"""How often a user opens, extends and releases holds within an hour: few enough to be reached."""

SECRET = "whsec_c2ltdWxhdGVkLXNlY3JldC1vZi0zMi1ieXRlcy4uLi4="
"""What webhooks are signed with."""

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
    "PYTHONHASHSEED": "0",  # the order of sets is chance, too
}
