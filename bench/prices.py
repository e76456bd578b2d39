"""AWS's list prices in US dollars: us-east-1, without free tiers and volume discounts.

Looked up on 2026-11-22, what is marked on 2026-11-29; they change and differ by region.
"""

AS_OF = "2026-11-29"
REGION = "us-east-1"
MILLION = 1_000_000

# DynamoDB on demand, standard table class: halved on 2024-11-01,
# https://aws.amazon.com/dynamodb/pricing/on-demand/
WRITE_UNITS_MILLION = 0.625
READ_UNITS_MILLION = 0.125

# DynamoDB's provisioned units, per hour: https://aws.amazon.com/dynamodb/pricing/provisioned/,
# 2026-11-29.
PROVISIONED_WRITE_UNIT_HOUR = 0.00065
PROVISIONED_READ_UNIT_HOUR = 0.00013

# https://aws.amazon.com/sqs/pricing/, standard queues; https://aws.amazon.com/lambda/pricing/
SQS_REQUESTS_MILLION = 0.40
LAMBDA_REQUESTS_MILLION = 0.20

# arm64, the first tier.
LAMBDA_GB_SECOND = 0.0000133334

# SnapStart for Python, per GB: for each second that a snapshot is kept, and for each restore.
# 2026-11-29.
SNAPSHOT_GB_SECOND = 0.0000015046
SNAPSHOT_GB_RESTORED = 0.0001397998

# DynamoDB storage per GB and month: of table and indexes, and of the table's point-in-time backup.
STORED_GB = 0.25
BACKED_UP_GB = 0.20

# https://aws.amazon.com/api-gateway/pricing/, HTTP APIs, the first tier.
API_REQUESTS_MILLION = 1.00

# https://aws.amazon.com/eventbridge/pricing/, custom events, and the Scheduler (2026-11-29).
EVENTS_MILLION = 1.00
SCHEDULED_MILLION = 1.00

# https://aws.amazon.com/s3/pricing/, standard.
PUTS_MILLION = 5.00
ARCHIVED_GB = 0.023

# https://aws.amazon.com/cloudwatch/pricing/, custom metrics of 2026-11-29;
# https://aws.amazon.com/xray/pricing/
LOGGED_GB = 0.50
ALARM_METRIC_MONTH = 0.10
METRIC_MONTH = 0.30
TRACES_MILLION = 5.00

# https://aws.amazon.com/cognito/pricing/, machine-to-machine, 2026-11-29: a client a month, and its
# tokens.
MACHINE_CLIENT_MONTH = 6.00
MACHINE_TOKENS_THOUSAND = 2.25

# https://aws.amazon.com/secrets-manager/pricing/, https://aws.amazon.com/ec2/pricing/on-demand/
SECRET_MONTH = 0.40
SENT_GB = 0.09

# https://aws.amazon.com/rds/postgresql/pricing/: db.t4g.micro in two zones costs 0.032 an hour, 730
# hours a month; its disk of 20 GB, the smallest, costs 0.23 per GB and month.
POSTGRES_MONTH = 0.032 * 730 + 20 * 0.23
POSTGRES_NAME = "RDS for PostgreSQL, db.t4g.micro in two zones with 20 GB"

SOURCES = {
    "dynamodb": "https://aws.amazon.com/dynamodb/pricing/",
    "lambda": "https://aws.amazon.com/lambda/pricing/",
    "rds": "https://aws.amazon.com/rds/postgresql/pricing/",
    "sqs": "https://aws.amazon.com/sqs/pricing/",
}


def dynamodb_million(write_units: float, read_units: float) -> float:
    """Return the price of a million calls that take these units each."""
    return round(write_units * WRITE_UNITS_MILLION + read_units * READ_UNITS_MILLION, 4)
