"""What AWS asks for, in US dollars: list prices of us-east-1, on demand, without free tiers.

Looked up on 2026-11-22. They change and differ by region.
"""

AS_OF = "2026-11-22"
REGION = "us-east-1"
MILLION = 1_000_000

# DynamoDB, standard table class: halved on 2024-11-01, https://aws.amazon.com/dynamodb/pricing/
WRITE_UNITS_MILLION = 0.625
READ_UNITS_MILLION = 0.125

# https://aws.amazon.com/sqs/pricing/, standard queues; https://aws.amazon.com/lambda/pricing/
SQS_REQUESTS_MILLION = 0.40
LAMBDA_REQUESTS_MILLION = 0.20

# https://aws.amazon.com/rds/postgresql/pricing/: db.t4g.micro in two zones is 0.032 an hour, 730
# hours a month; its disk of 20 GB, the smallest, is 0.23 a GB and month there.
POSTGRES_MONTH = 0.032 * 730 + 20 * 0.23
POSTGRES_NAME = "RDS for PostgreSQL, db.t4g.micro in two zones with 20 GB"

SOURCES = {
    "dynamodb": "https://aws.amazon.com/dynamodb/pricing/",
    "lambda": "https://aws.amazon.com/lambda/pricing/",
    "rds": "https://aws.amazon.com/rds/postgresql/pricing/",
    "sqs": "https://aws.amazon.com/sqs/pricing/",
}


def dynamodb_million(write_units: float, read_units: float) -> float:
    """Return the dollars for a million calls that take so many units each."""
    return round(write_units * WRITE_UNITS_MILLION + read_units * READ_UNITS_MILLION, 4)
