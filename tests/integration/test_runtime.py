"""The built functions under Lambda's own runtime, with the oldest and the newest boto3 it may have.

A function's process imports from where Lambda lets it: its own folder, then the layer, then what
the runtime brings (requirements/runtime-*.txt). It gets the sample events of its function.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from bench.cold import environments_of, places_of
from scrip_cli.local import demo
from tests.documentation import ROOT
from tests.functional.conftest import EVENTS, POOL_ISSUER, event
from tests.integration.runtime_api import runtime_api
from tests.integration.test_build import FUNCTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from scrip_cli.local.stack import LocalStack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric is for Linux")

ORDER = ["bootstrap", "signup", "account", "consume", "refund"]
"""The catalog first, then the account, then what it can still do before it is closed."""

LAST = ["close", "freeze"]
"""Events after which an account can do little."""

RUNTIME_CLIENT = [sys.executable, "-S", "-m", "awslambdaric"]
"""What Lambda starts, without this machine's site-packages."""

SECONDS_MAX = 60


@pytest.fixture
def own(stack: LocalStack) -> dict[str, str]:
    """The environment's names for a table, a bucket, a queue and a pool that only one test has."""
    name = f"runtime-{uuid4()}"
    dynamodb, sqs, cognito = (
        stack.client("dynamodb"),
        stack.client("sqs"),
        stack.client("cognito-idp"),
    )
    table = dynamodb.describe_table(TableName=demo.details(stack).table_name)["Table"]
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=table["KeySchema"],
        AttributeDefinitions=table["AttributeDefinitions"],
        GlobalSecondaryIndexes=[
            {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
            for index in table["GlobalSecondaryIndexes"]
        ],
    )
    stack.client("s3").create_bucket(Bucket=name)
    pool = cognito.create_user_pool(PoolName=name)["UserPool"]["Id"]
    made = cognito.create_user_pool_client(UserPoolId=pool, ClientName="console")
    return {
        "TABLE_NAME": name,
        "BUCKET_NAME": name,
        **dict.fromkeys(
            ("RENEW_QUEUE_URL", "AUDIT_QUEUE_URL"), sqs.create_queue(QueueName=name)["QueueUrl"]
        ),
        "USER_POOL_ID": pool,
        "CONSOLE_CLIENT_ID": made["UserPoolClient"]["ClientId"],
        "POOL_ISSUER": POOL_ISSUER,
    }


def sample(name: str, own: dict[str, str], address: str) -> dict[str, Any]:
    """Read `events/<name>.json`, with this test's own client and addresses in it."""
    sent = event(name)
    client_id = own["CONSOLE_CLIENT_ID"]
    claims = sent.get("requestContext", {}).get("authorizer", {}).get("jwt", {}).get("claims", {})
    if "cognito:groups" in claims:
        claims["client_id"] = client_id
    if "ResponseURL" in sent:
        sent["ResponseURL"] = f"http://{address}/"
        if "ClientId" in sent["ResourceProperties"]:
            pool = {"UserPoolId": own["USER_POOL_ID"], "ClientId": client_id}
            sent["ResourceProperties"] |= pool
    return sent


def answers(function: str, build_dir: Path, runtime: Path, env: dict[str, str]) -> dict[str, Any]:
    """Run a function in a process until it has answered its sample events; return the answers."""
    found = (path.stem for path in (EVENTS / function).glob("*.json"))
    names = sorted(found, key=lambda name: (name in LAST, name))
    home, *layers = places_of(build_dir, function)
    with runtime_api() as api:
        api.events = [sample(f"{function}/{name}", env, api.address) for name in names]
        done = subprocess.run(
            [*RUNTIME_CLIENT, f"functions.{function}.handler.lambda_handler"],
            cwd=home,
            env={
                **env,
                "AWS_LAMBDA_RUNTIME_API": api.address,
                "AWS_LAMBDA_FUNCTION_NAME": function,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                "PYTHONPATH": ":".join(map(str, [*layers, runtime])),
            },
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    assert not api.failures, f"{function}: {api.failures}"
    assert len(api.answers) == len(names), done.stdout + done.stderr
    # Nothing here evaluates partitions, so the canary cannot succeed.
    resources = [one for one in api.resources if one["PhysicalResourceId"] != "Canary"]
    assert {answer["Status"] for answer in resources} <= {"SUCCESS"}, resources
    return {f"{function}/{name}": one for name, one in zip(names, api.answers, strict=True)}


@pytest.mark.parametrize("boto3", ["oldest", "newest"])
def test_every_function_answers_its_sample_events(
    stack: LocalStack, own: dict[str, str], boto3: str
) -> None:
    environments = environments_of(stack)

    def ask(function: str) -> dict[str, Any]:
        env = environments[function] | own
        return answers(function, stack.build_dir, ROOT / ".runtime" / boto3, env)

    answered: dict[str, Any] = {}
    for function in ORDER:
        answered |= ask(function)
    with ThreadPoolExecutor(2) as pool:
        for ones in pool.map(ask, [name for name in FUNCTIONS if name not in ORDER]):
            answered |= ones
    statuses = {
        name: answer["statusCode"]
        for name, answer in answered.items()
        if answer and "statusCode" in answer
    }
    assert all(status < 500 for status in statuses.values()), statuses
    expected = {
        "account/entries": 200,
        "adjust/add": 201,
        "admin/accounts": 200,
        "catalog/change_feature": 200,
        "consume/feature": 200,
        "consume/hold": 201,
        "refund/whole": 201,
        "webhook/request": 401,  # its secret is not this stack's
    }
    assert {name: statuses[name] for name in expected} == expected
