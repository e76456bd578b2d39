"""The custom resources: the default catalog, and the console's sign-in."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip import __version__
from scrip.store.catalogs import read_catalog
from scrip.store.client import Table
from scrip.store.mailbox_key import own_mailbox_key, read_mailbox_key
from tests.functional.conftest import event, invoke
from tests.functional.faults import instead_of


@pytest.fixture
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that hears what the function tells CloudFormation."""
    heard: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield f"http://127.0.0.1:{server.server_port}/", heard
        server.shutdown()


def tell(name: str, url: str, **properties: str) -> None:
    sent = event(name)
    sent["ResponseURL"] = url
    sent["ResourceProperties"].update(properties)
    invoke("bootstrap", sent)


def test_the_first_deployment_loads_the_default_catalog(
    empty_table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, heard = cloudformation
    tell("bootstrap/create", url)
    assert heard[0]["Status"] == "SUCCESS"
    catalog = read_catalog(empty_table)
    assert catalog == DEFAULT_CATALOG
    assert {name: feature.cost for name, feature in catalog.features.items()} == {
        "chat": 5,
        "text-to-speech": 10,
        "speech-to-text": 5,
        "image-generation": 25,
        "pdf-chat": 10,
        "document-generation": 10,
    }


def test_what_was_edited_since_is_left_as_it_is(
    table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, heard = cloudformation
    table.client.update_item(
        TableName=table.name,
        Key={"pk": {"S": "CATALOG"}, "sk": {"S": "FEATURE#chat"}},
        UpdateExpression="SET cost = :cost",
        ExpressionAttributeValues={":cost": {"N": "7"}},
    )
    tell("bootstrap/create", url)
    assert read_catalog(table).features["chat"].cost == 7
    tell("bootstrap/delete", url)
    assert [told["Status"] for told in heard] == ["SUCCESS", "SUCCESS"]
    assert len(read_catalog(table).features) == 6


def test_a_failure_is_told_so_that_nobody_waits_for_an_hour(
    monkeypatch: pytest.MonkeyPatch,
    empty_table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, heard = cloudformation
    monkeypatch.setattr("functions.bootstrap.handler.PAUSE_SECONDS", 0)
    empty_table.client.delete_table(TableName=empty_table.name)
    tell("bootstrap/create", url)
    assert heard[0]["Status"] == "FAILED"
    assert "ResourceNotFound" in heard[0]["Reason"]


def test_a_role_that_is_not_in_force_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
    empty_table: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, heard = cloudformation
    monkeypatch.setattr("functions.bootstrap.handler.PAUSE_SECONDS", 0)
    denied = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
    with instead_of(empty_table, "PutItem", denied, times=2):
        tell("bootstrap/create", url)
    assert heard[0]["Status"] == "SUCCESS"
    assert read_catalog(empty_table) == DEFAULT_CATALOG


def test_the_mailboxes_key_is_made_by_the_first_deployment_and_never_changed(
    aws: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, heard = cloudformation
    ssm = boto3.client("ssm")
    keys = []
    for name in ("mailbox_key", "mailbox_key", "delete"):
        tell(f"bootstrap/{name}", url, Name="/scrip/new/mailbox-key")
        keys.append(read_mailbox_key(ssm, "/scrip/new/mailbox-key"))
    assert {told["Status"] for told in heard} == {"SUCCESS"}
    assert len(set(keys)) == 1
    assert keys[0] != own_mailbox_key()


def test_the_stack_shows_the_version_of_its_code(
    aws: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, heard = cloudformation
    tell("bootstrap/version", url)
    assert (heard[0]["Status"], heard[0]["Data"]) == ("SUCCESS", {"Version": __version__})


def test_admins_can_sign_in_to_the_console_and_get_no_scope_by_it(
    aws: Table,
    cloudformation: tuple[str, list[dict[str, Any]]],
) -> None:
    url, heard = cloudformation
    cognito = boto3.client("cognito-idp")
    pool_id = cognito.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    made = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="console")
    client = {"UserPoolId": pool_id, "ClientId": made["UserPoolClient"]["ClientId"]}

    tell("bootstrap/console_sign_in", url, **client)

    assert heard[0]["Status"] == "SUCCESS"
    told = cognito.describe_user_pool_client(**client)["UserPoolClient"]
    console = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/console/"
    assert told["CallbackURLs"] == told["LogoutURLs"] == [console]
    assert told["AllowedOAuthFlows"] == ["code"]
    # Whoever signs in gets the scopes of the client: one of Scrip's would make everybody an admin.
    assert not [scope for scope in told["AllowedOAuthScopes"] if scope.startswith("scrip/")]
