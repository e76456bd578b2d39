"""The public routes: health, the OpenAPI document and its page."""

import json
import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256

import pytest
from openapi_spec_validator import validate

from scrip import __version__
from scrip.settings import settings
from scrip.store.client import Table
from tests.functional.conftest import EVENTS, ROOT, event, invoke, openapi, resources, send

MB_1 = 1_000_000


def test_health_needs_no_token_and_no_table(table: Table) -> None:
    answer = send("docs/health")
    assert (answer.status, answer.body) == (200, {"status": "ok", "version": __version__})


def test_health_is_degraded_if_the_settings_are_wrong(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIME_ZONE", "Europe/Atlantis")
    settings.cache_clear()
    assert send("docs/health").body["status"] == "degraded"


def test_the_openapi_document_is_valid_and_served(table: Table) -> None:
    document = json.loads(invoke("docs", event("docs/openapi"))["body"])
    validate(document)
    assert document["info"]["version"] == __version__
    assert "/v1/accounts/{account_id}/consume" in document["paths"]


def test_the_openapi_document_is_up_to_date_with_the_code() -> None:
    made = subprocess.run(
        [sys.executable, "scripts/openapi.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (ROOT / "functions/docs/openapi.json").read_text() == made, "run make openapi"


def test_every_link_leads_to_an_operation() -> None:
    operations = [
        operation for methods in openapi()["paths"].values() for operation in methods.values()
    ]
    linked = {
        link["operationId"]
        for operation in operations
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    }
    assert linked
    assert linked <= {operation["operationId"] for operation in operations}


def test_the_template_and_the_openapi_document_have_the_same_routes() -> None:
    documented = {
        (method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods
    }
    routed = {
        (trigger["Properties"]["Method"], trigger["Properties"]["Path"])
        for resource in resources().values()
        for trigger in resource.get("Properties", {}).get("Events", {}).values()
        if trigger["Type"] == "HttpApi"
    }
    pages = {
        *("/v1/openapi.json", "/v1/docs", "/v1/docs/{file}"),
        *("/console", "/console/{proxy+}", "/me", "/me/{proxy+}"),
    }
    assert routed - documented == {("GET", page) for page in pages}
    assert documented <= routed


def test_every_operation_has_a_sample_event() -> None:
    sampled = {json.loads(path.read_text()).get("routeKey") for path in EVENTS.rglob("*.json")}
    for path, methods in openapi()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in sampled


def test_the_page_runs_only_its_own_script_and_redoc(table: Table) -> None:
    page = invoke("docs", event("docs/docs"))
    assert page["statusCode"] == 200
    [script] = re.findall(r"<script[^>]*>(.*?)</script>", page["body"], re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = page["headers"]["Content-Security-Policy"]
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    [redoc] = re.findall(r'from "\./docs/(.*?)"', script)
    assert redoc == event("docs/file")["pathParameters"]["file"]


def test_redoc_is_kept_by_browsers_and_far_smaller_than_lambda_may_answer(table: Table) -> None:
    sent = event("docs/file")
    sent["headers"]["accept-encoding"] = "gzip"
    answer = invoke("docs", sent)
    assert answer["statusCode"] == 200
    assert "immutable" in answer["headers"]["Cache-Control"]
    assert len(answer["body"]) < MB_1
    sent["rawPath"] = sent["requestContext"]["http"]["path"] = "/v1/docs/redoc-2.0.0.js"
    assert invoke("docs", sent)["statusCode"] == 404


def test_operations_are_in_groups_that_are_described_and_have_samples() -> None:
    groups = {tag["name"]: tag["description"] for tag in openapi()["tags"]}
    operations = [
        operation for methods in openapi()["paths"].values() for operation in methods.values()
    ]
    assert {group for operation in operations for group in operation["tags"]} == set(groups)
    for operation in operations:
        samples = operation.get("x-codeSamples", [])
        if operation["operationId"] != "webhook":  # its requests are signed by a provider
            assert [sample["lang"] for sample in samples] == ["Shell", "Python", "TypeScript"]


def test_other_paths_are_not_found(table: Table) -> None:
    sent = event("docs/health")
    sent["rawPath"] = sent["requestContext"]["http"]["path"] = "/v1/nothing"
    answer = invoke("docs", sent)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["code"] == "not_found"
