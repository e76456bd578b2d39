"""What CloudFormation made: whether it is all there, switched on, and as narrow as it was meant."""

import json
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from scrip import __version__
from scrip.ledger import utc_now
from scrip_cli.smoke.trial import FailedError, Trial, UnprovenError, must

FIRST_RUN = timedelta(hours=2)
"""How old a stack may be before each schedule must have run once."""

FORGED_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSJ9.c2lnbmVk"  # noqa: S105
"""A token that nobody has signed."""

CHANGES_OF_ENTRIES = (
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
)
"""What no function may do to an entry."""


def deployment(trial: Trial) -> str:
    """The last deployment succeeded, and has the version of this command."""
    status = trial.session.status()
    must(status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, f"CloudFormation says {status}.")
    deployed = trial.outputs["Version"]
    must(deployed == __version__, f"The stack has version {deployed}, this command {__version__}.")
    return f"version {deployed}, stage {trial.session.stage()}"


def routes(trial: Trial) -> str:
    """Every operation of the API's document has a route, with a token unless it is public."""
    with trial.session.http() as http:
        document = http.get("/v1/openapi.json").raise_for_status().json()
    wanted = {
        f"{method.upper()} {path}": "NONE" if operation.get("security") == [] else "JWT"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    pages = trial.client("apigatewayv2").get_paginator("get_routes")
    found = {
        route["RouteKey"]: route["AuthorizationType"]
        for page in pages.paginate(ApiId=trial.outputs["ApiId"])
        for route in page["Items"]
    }
    missing = [route for route in wanted if route not in found]
    must(not missing, f"There is no route {', '.join(missing)}.")
    wrong = [route for route, kind in wanted.items() if found[route] != kind]
    must(not wrong, f"The wrong callers are let in: {', '.join(wrong)}.")
    return f"{len(wanted)} operations"


def authorizer(trial: Trial) -> str:
    """A call without a token, or with a forged one, reaches no function."""
    with trial.session.http() as http:
        for headers in ({}, {"Authorization": f"Bearer {FORGED_TOKEN}"}):
            status = http.get("/v1/accounts/me", headers=headers).status_code
            must(status == HTTPStatus.UNAUTHORIZED, f"It was answered {status}.")
    return "401"


def event_sources(trial: Trial) -> str:
    """Streams and queues call their functions, whose last runs were no failures."""
    client = trial.client("lambda")
    mappings = trial.resources["AWS::Lambda::EventSourceMapping"]
    for name, uuid in mappings.items():
        mapping = client.get_event_source_mapping(UUID=uuid)
        must(mapping["State"] == "Enabled", f"{name} is {mapping['State']}.")
        result = mapping.get("LastProcessingResult") or ""
        must(not result.startswith("PROBLEM"), f"{name} says {result}.")
    return ", ".join(mappings)


def schedules(trial: Trial) -> str:
    """Every schedule is enabled and calls its function."""
    client, functions = trial.client("scheduler"), trial.resources["AWS::Lambda::Function"]
    found = trial.resources["AWS::Scheduler::Schedule"]
    for name, schedule_name in found.items():
        schedule = client.get_schedule(Name=schedule_name)
        must(schedule["State"] == "ENABLED", f"{name} is {schedule['State']}.")
        # SAM begins the name of a schedule with that of its function.
        [function] = [id_ for logical, id_ in functions.items() if name.startswith(logical)]
        target = schedule["Target"]["Arn"]
        must(function in target, f"{name} calls {target}.")
    return ", ".join(found)


def scheduled_runs(trial: Trial) -> str:
    """The sweep and the audit have run by their schedules."""
    health = trial.admin.ask("GET", "/v1/admin/health")
    audit = health["audit"] or {"age_seconds": None}
    ages = {"sweep": health["watermark_age_seconds"], "audit": audit["age_seconds"]}
    waiting = [name for name, age in ages.items() if age is None]
    if waiting:
        created: datetime = trial.session.description()["CreationTime"]
        sentence = f"Has not run yet: {', '.join(waiting)}."
        must(utc_now() - created < FIRST_RUN, sentence)
        raise UnprovenError(f"{sentence} Try again when the stack is {FIRST_RUN} old.")
    return ", ".join(f"{name} {age} s ago" for name, age in ages.items())


def health(trial: Trial) -> str:
    """The stack finds nothing wrong with itself."""
    problems = trial.admin.ask("GET", "/v1/admin/health")["problems"]
    must(not problems, ", ".join(f"{one['code']} ({one['subject']})" for one in problems))
    return "ok"


def boundary(trial: Trial) -> str:
    """Every function's role has the boundary, which keeps entries from being changed."""
    wanted = trial.resources["AWS::IAM::ManagedPolicy"]["FunctionBoundary"]
    roles = _function_roles(trial)
    for name, role in roles.items():
        found = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        must(found == wanted, f"{name} has the boundary {found}.")
    return f"{len(roles)} roles"


def entry_protection(trial: Trial) -> str:
    """By IAM's own simulation no function may change or delete an entry."""
    if trial.session.is_local:
        raise UnprovenError("The local IAM simulation supports neither conditions nor boundaries.")
    _check_partition_conditions(trial)
    iam, table = trial.client("iam"), trial.outputs["TableName"]
    described = trial.client("dynamodb").describe_table(TableName=table)["Table"]
    context = {
        "ContextKeyName": "dynamodb:LeadingKeys",
        "ContextKeyType": "stringList",
        "ContextKeyValues": [f"LEDGER#scrip-smoke-{trial.run}"],
    }
    roles = _function_roles(trial)
    for name, role in roles.items():
        answer = iam.simulate_principal_policy(
            PolicySourceArn=role["Arn"],
            ActionNames=CHANGES_OF_ENTRIES,
            ResourceArns=[described["TableArn"]],
            ContextEntries=[context],
        )
        may = allowed(answer["EvaluationResults"])
        must(not may, f"{name} may {', '.join(may)}.")
    return f"{len(roles)} roles"


def refused_change(trial: Trial) -> str:
    """A function tries to change an entry and to delete it, and IAM refuses."""
    _check_partition_conditions(trial)
    answer = trial.client("lambda").invoke(
        FunctionName=trial.resources["AWS::Lambda::Function"]["BootstrapFunction"],
        Payload=json.dumps({"RequestType": "TryEntryChanges"}),
    )
    found = json.loads(answer["Payload"].read())
    must("FunctionError" not in answer, f"BootstrapFunction failed: {found}")
    must(not found["not_refused"], f"IAM did not refuse {', '.join(found['not_refused'])}.")
    return f"in {found['entry_protection']}"


def allowed(results: list[dict[str, Any]]) -> list[str]:
    """Return the actions that a simulation by IAM allows."""
    return [one["EvalActionName"] for one in results if one["EvalDecision"] == "allowed"]


def alarms(trial: Trial) -> str:
    """No alarm rings, and somebody hears the next one."""
    names = trial.resources.get("AWS::CloudWatch::Alarm", {})
    if not names:
        raise UnprovenError("Without AlarmEmail, stage dev has no alarms.")
    found = trial.client("cloudwatch").describe_alarms(AlarmNames=[*names.values()])["MetricAlarms"]
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
    missing = [name for name, alarm in names.items() if alarm not in states]
    must(not missing, f"There is no {', '.join(missing)}.")
    ringing = [name for name, alarm in names.items() if states[alarm] == "ALARM"]
    must(not ringing, f"{', '.join(ringing)}: see docs/how-to/runbook.md.")
    pages = trial.client("sns").get_paginator("list_subscriptions_by_topic")
    subscribed = [
        one["SubscriptionArn"].startswith("arn:")
        for page in pages.paginate(TopicArn=trial.outputs["AlarmTopicArn"])
        for one in page["Subscriptions"]
    ]
    must(
        any(subscribed), "Nobody has confirmed a subscription to the topic, so alarms reach no one."
    )
    return f"{len(names)} alarms, {sum(subscribed)} confirmed subscriptions"


def dead_letters(trial: Trial) -> str:
    """Nothing was given up."""
    sqs, number = trial.client("sqs"), "ApproximateNumberOfMessages"
    queues = trial.resources["AWS::SQS::Queue"]
    dead = {name: url for name, url in queues.items() if name.endswith("DeadLetters")}
    for name, url in dead.items():
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[number])
        depth = int(answer["Attributes"][number])
        must(not depth, f"{name} has {depth} messages: see docs/how-to/runbook.md.")
    return ", ".join(dead)


def console(trial: Trial) -> str:
    """The console is served at the address that its client signs people in for."""
    return _served(trial, "ConsoleUrl", "Scrip console")


def user_page(trial: Trial) -> str:
    """The users' page is served at the address that the same client signs people in for."""
    return _served(trial, "UserPageUrl", "Your credits")


def sign_in_page(trial: Trial) -> str:
    """The issuer shows the users of both pages a page to sign in."""
    with trial.session.http() as http:
        settings = http.get("/console/config.json").raise_for_status().json()
        known = http.get(f"{settings['authority'].rstrip('/')}/.well-known/openid-configuration")
        endpoint = known.raise_for_status().json()["authorization_endpoint"]
        verifier = secrets.token_urlsafe(32).encode()
        asked = {
            "response_type": "code",
            "client_id": settings["client_id"],
            "scope": settings["scope"],
            "state": trial.run,
            "code_challenge": urlsafe_b64encode(sha256(verifier).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        for output in ("ConsoleUrl", "UserPageUrl"):
            back = _address(trial, output)
            page = http.get(endpoint, params=asked | {"redirect_uri": back}, follow_redirects=True)
            where = page.url.copy_with(query=None)
            refused = page.url.params.get("error", "")
            must(
                page.is_success and not refused,
                f"{where} answered {page.status_code} {refused} for {back}.",
            )
    return str(where)


def _check_partition_conditions(trial: Trial) -> None:
    """Raise UnprovenError if only the code protects entries."""
    if trial.session.parameters().get("PartitionConditions") == "no":
        raise UnprovenError("The stack was deployed with PartitionConditions=no.")


def _function_roles(trial: Trial) -> dict[str, Any]:
    """Return the roles of all functions, by their functions' names in the template."""
    iam, names = trial.client("iam"), trial.resources["AWS::IAM::Role"]
    return {
        function: iam.get_role(RoleName=names[f"{function}Role"])["Role"]
        for function in trial.resources["AWS::Lambda::Function"]
    }


def _served(trial: Trial, output: str, title: str) -> str:
    """Return the address of a page, which must be the one with the title."""
    address = _address(trial, output)
    with trial.session.http() as http:
        page = http.get(address)
    must(page.is_success, f"{address} answered {page.status_code}.")
    must(f"<title>{title}" in page.text, f"{address} is another page.")
    return address


def _address(trial: Trial, output: str) -> str:
    """Return the address of an output's page, to which the pages' client leads people back."""
    if trial.session.parameters().get("JwtIssuer"):
        return trial.outputs[output]
    client = trial.client("cognito-idp").describe_user_pool_client(
        UserPoolId=trial.outputs["UserPoolId"], ClientId=trial.outputs["ConsoleClientId"]
    )["UserPoolClient"]
    page = trial.outputs[output].rpartition("/")[2]
    addresses: list[str] = client.get("CallbackURLs", [])
    for address in addresses:
        if address.endswith(f"/{page}"):
            return address
    raise FailedError(f"The console's client has no redirect URI that ends in /{page}.")
