"""The custom resources, such as the default catalog and the console's sign-in."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.backends import get_backend

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip import __version__
from scrip.store.canary import EntryProtection
from scrip.store.catalogs import read_catalog
from scrip.store.client import Table
from scrip.store.listing import is_complete
from scrip.store.mailbox_key import own_mailbox_key, read_mailbox_key
from tests.functional.conftest import event, invoke
from tests.functional.faults import instead_of
from tests.functional.test_canary import all_keys, iam, own_keys

EMPTY = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
"""The template of a stack of which only the status matters."""


@pytest.fixture
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that receives the function's responses to CloudFormation."""
    responses: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert len(body) <= 4096, "CloudFormation refuses longer responses"
            responses.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield f"http://127.0.0.1:{server.server_port}/", responses
        server.shutdown()


@pytest.fixture
def issuer() -> Iterator[str]:
    """An OIDC issuer, whose name has a slash at its end, behind Cloudflare's check of browsers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["User-Agent"].startswith("Python-urllib"):
                self.send_response(403)
            elif self.path == "/.well-known/openid-configuration":
                self.send_response(200)
            else:
                self.send_response(404)
            self.end_headers()
            self.wfile.write(json.dumps({"issuer": f"{url}/"}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield url
        server.shutdown()


def run(name: str, url: str, **properties: str) -> None:
    sent = event(name)
    sent["ResponseURL"] = url
    sent["ResourceProperties"].update(properties)
    invoke("bootstrap", sent)


def test_the_first_deployment_loads_the_default_catalog(
    empty_table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    run("bootstrap/create", url)
    assert responses[0]["Status"] == "SUCCESS"
    catalog = read_catalog(empty_table)
    assert catalog == DEFAULT_CATALOG
    assert is_complete(empty_table)
    by_use = {name: item.cost for name, item in catalog.features.items() if not item.meters}
    assert by_use == {
        "chat": 5,
        "text-to-speech": 10,
        "speech-to-text": 5,
        "image-generation": 25,
        "pdf-chat": 10,
        "document-generation": 10,
    }


def test_another_deployment_keeps_edits_of_the_catalog(
    table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    table.client.update_item(
        TableName=table.name,
        Key={"pk": {"S": "CATALOG"}, "sk": {"S": "FEATURE#chat"}},
        UpdateExpression="SET cost = :cost",
        ExpressionAttributeValues={":cost": {"N": "7"}},
    )
    run("bootstrap/create", url)
    assert read_catalog(table).features["chat"].cost == 7
    assert not is_complete(table)  # accounts of the version before may be in no list
    run("bootstrap/delete", url)
    assert [response["Status"] for response in responses] == ["SUCCESS", "SUCCESS"]
    assert read_catalog(table).features.keys() == DEFAULT_CATALOG.features.keys()


@pytest.mark.moto
def test_a_failure_is_reported_at_once_so_that_the_deployment_need_not_time_out(
    monkeypatch: pytest.MonkeyPatch,
    empty_table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    monkeypatch.setattr("functions.bootstrap.handler.PAUSE_SECONDS", 0)
    empty_table.client.delete_table(TableName=empty_table.name)
    run("bootstrap/create", url)
    assert responses[0]["Status"] == "FAILED"
    assert "ResourceNotFound" in responses[0]["Reason"]


def test_the_bootstrap_waits_for_its_role_to_take_effect(
    monkeypatch: pytest.MonkeyPatch,
    empty_table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    monkeypatch.setattr("functions.bootstrap.handler.PAUSE_SECONDS", 0)
    denied = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
    with instead_of(empty_table, "PutItem", denied, times=2):
        run("bootstrap/create", url)
    assert responses[0]["Status"] == "SUCCESS"
    assert read_catalog(empty_table) == DEFAULT_CATALOG


def test_the_mailbox_key_is_made_by_the_first_deployment_and_never_changed(
    aws: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    ssm = boto3.client("ssm")
    keys = []
    for name in ("mailbox_key", "mailbox_key", "delete"):
        run(f"bootstrap/{name}", url, Name="/scrip/new/mailbox-key")
        keys.append(read_mailbox_key(ssm, "/scrip/new/mailbox-key"))
    assert {response["Status"] for response in responses} == {"SUCCESS"}
    assert len(set(keys)) == 1
    assert keys[0] != own_mailbox_key()


@pytest.mark.parametrize(
    ("status", "before", "after"),
    [
        ("ROLLBACK_IN_PROGRESS", [], []),
        ("ROLLBACK_IN_PROGRESS", ["key"], ["key"]),
        ("DELETE_IN_PROGRESS", [], ["key"]),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", [], ["key"]),
    ],
)
def test_only_a_creation_that_failed_takes_the_key_with_it_that_it_made(
    aws: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
    status: str,
    before: list[str],
    after: list[str],
) -> None:
    url, responses = cloudformation
    stack = f"key-{uuid4()}"
    made = boto3.client("cloudformation").create_stack(StackName=stack, TemplateBody=EMPTY)
    backend = get_backend("cloudformation")["123456789012"]["eu-central-1"]
    backend.stacks[made["StackId"]].status = status
    ssm, name = boto3.client("ssm"), f"/scrip/{stack}/mailbox-key"
    for value in before:
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    run("bootstrap/mailbox_key", url, Name=name)
    deleted = event("bootstrap/mailbox_key") | {
        "RequestType": "Delete",
        "StackId": made["StackId"],
        "ResponseURL": url,
        "PhysicalResourceId": responses[0]["PhysicalResourceId"],
    }
    deleted["ResourceProperties"]["Name"] = name
    invoke("bootstrap", deleted)
    assert [response["Status"] for response in responses] == ["SUCCESS", "SUCCESS"]
    assert len(ssm.get_parameters(Names=[name])["Parameters"]) == len(after)


def test_another_value_of_any_parameter_has_another_digest(
    table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    for changed in ({}, {}, {"Others": "prod 200"}, {"TimeZone": "UTC"}, {"DefaultPlan": "pro"}):
        run("bootstrap/settings", url, **changed)
    first, again, *others = [response["Data"]["Digest"] for response in responses]
    assert first == again
    assert len({first, *others}) == 4


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "TimeZone",
            "Europe/Atlantis",
            "TimeZone is Europe/Atlantis, which is not an IANA time zone",
        ),
        (
            "DefaultPlan",
            "basic",
            "DefaultPlan is basic, which is not an active plan in the catalog.",
        ),
        ("JwtIssuer", "{issuer}/none", "is not the configuration of an OIDC issuer."),
        ("JwtIssuer", "{issuer}", "but the issuer calls itself {issuer}/"),
    ],
)
def test_a_wrong_parameter_fails_the_deployment_at_once_with_a_sentence(
    table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
    issuer: str,
    name: str,
    value: str,
    reason: str,
) -> None:
    url, responses = cloudformation
    run("bootstrap/settings", url, **{name: value.format(issuer=issuer)})
    assert responses[0]["Status"] == "FAILED"
    assert reason.format(issuer=issuer) in responses[0]["Reason"]


def test_a_long_reason_is_cut_to_what_cloudformation_accepts(
    table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
    issuer: str,
) -> None:
    url, responses = cloudformation
    run("bootstrap/settings", url, JwtIssuer=f"{issuer}/{'x' * 4_000}")
    assert responses[0]["Reason"].startswith(f"JwtIssuer is {issuer}")


def test_an_issuer_is_named_to_the_letter(
    table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
    issuer: str,
) -> None:
    url, responses = cloudformation
    run("bootstrap/settings", url, JwtIssuer=f"{issuer}/")
    assert responses[0]["Status"] == "SUCCESS"


def test_a_deployment_where_iam_evaluates_partitions_otherwise_fails_and_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
    empty_table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    monkeypatch.setattr("functions.bootstrap.handler.PAUSE_SECONDS", 0)
    for keys_of in (own_keys, all_keys):
        with iam(empty_table, keys_of):
            run("bootstrap/canary", url)
    assert [response["Status"] for response in responses] == ["SUCCESS", "FAILED"]
    assert "Deploy with PartitionConditions=no" in responses[1]["Reason"]


def test_an_operator_gets_to_know_what_iam_lets_the_function_do_to_an_entry(
    empty_table: Table,
) -> None:
    asked = {"RequestType": "TryEntryChanges"}
    with iam(empty_table, own_keys):
        assert invoke("bootstrap", asked) == {
            "not_refused": [],
            "entry_protection": EntryProtection.ALL,
        }
    with iam(empty_table, own_keys, boundary=[]):
        assert invoke("bootstrap", asked) == {
            "not_refused": ["a change of an entry", "the deletion of an entry"],
            "entry_protection": EntryProtection.SINGLE,
        }


@pytest.mark.parametrize("name", ["settings", "canary"])
def test_a_failed_update_is_rolled_back_whatever_the_checks_say_of_the_old_settings_by_now(
    monkeypatch: pytest.MonkeyPatch,
    empty_table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
    name: str,
) -> None:
    url, responses = cloudformation
    monkeypatch.setattr("functions.bootstrap.handler.PAUSE_SECONDS", 0)
    made = boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=EMPTY)
    stacks = get_backend("cloudformation")["123456789012"]["eu-central-1"].stacks
    for status in ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
        stacks[made["StackId"]].status = status
        sent = {"RequestType": "Update", "StackId": made["StackId"], "ResponseURL": url}
        # The catalog has no plans, and no transaction is allowed.
        with iam(empty_table, all_keys):
            invoke("bootstrap", event(f"bootstrap/{name}") | sent)
    assert [response["Status"] for response in responses] == ["FAILED", "SUCCESS"]
    assert ("Digest" in responses[1]["Data"]) == (name == "settings")


def test_the_stack_shows_the_version_of_its_code(
    aws: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    run("bootstrap/version", url)
    assert (responses[0]["Status"], responses[0]["Data"]) == ("SUCCESS", {"Version": __version__})


def test_people_can_sign_in_to_both_pages_and_get_none_of_scrips_scopes(
    aws: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    cognito = boto3.client("cognito-idp")
    pool_id = cognito.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    made = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="console")
    client = {"UserPoolId": pool_id, "ClientId": made["UserPoolClient"]["ClientId"]}

    run("bootstrap/console_sign_in", url, **client)

    assert responses[0]["Status"] == "SUCCESS"
    updated = cognito.describe_user_pool_client(**client)["UserPoolClient"]
    api = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
    pages = [f"{api}/console", f"{api}/me"]
    assert updated["CallbackURLs"] == updated["LogoutURLs"] == pages
    # Outputs of the stack.
    assert responses[0]["Data"] == {"Url": pages[0], "UserPageUrl": pages[1]}
    assert updated["AllowedOAuthFlows"] == ["code"]
    # Every user who signs in gets the client's scopes: one of Scrip's would make them all admins.
    assert not [scope for scope in updated["AllowedOAuthScopes"] if scope.startswith("scrip/")]


def test_an_update_that_is_rolled_back_gives_the_console_its_sign_in_of_before(
    aws: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, responses = cloudformation
    cognito = boto3.client("cognito-idp")
    pool_id = cognito.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    made = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="console")
    client = {"UserPoolId": pool_id, "ClientId": made["UserPoolClient"]["ClientId"]}
    sent = event("bootstrap/console_sign_in") | {"RequestType": "Update", "ResponseURL": url}
    before = sent["ResourceProperties"] | client
    del before["UserPageUrl"]

    invoke("bootstrap", sent | {"ResourceProperties": before})

    updated = cognito.describe_user_pool_client(**client)["UserPoolClient"]
    assert responses[0]["Data"] == {"Url": before["Url"]}
    assert updated["CallbackURLs"] == [before["Url"]]
