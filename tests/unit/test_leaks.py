"""The search for leaks in logs."""

import pytest

from tests.leaks import CANARY, leaks

GROUP = "/scrip/FunctionLogs"


@pytest.mark.parametrize(
    ("line", "leak"),
    [
        ('{"authorization": "Bearer abc"}', "a token"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIi", "a token"),
        ('"secret": "whsec_AeDtWH2MfK"', "a webhook's secret"),
        ("Invalid API Key provided: sk_test_4eC39", "a provider's API key"),
        (
            "t=1795303062,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e",
            "a signature",
        ),
        ("v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN", "a signature"),
        ("input_value='alice@example.com', input_type=str", "an e-mail address"),
        (f'{{"metadata": {{"prompt": "{CANARY}"}}}}', "a caller's text"),
        ("the key is Xy12", "the secret of the service's client"),
    ],
)
def test_a_line_with_a_leak_is_found_and_named(line: str, leak: str) -> None:
    lines = [(GROUP, "START RequestId: 1"), (GROUP, line), (GROUP, '{"message": "refused"}')]
    secrets = {"the secret of the service's client": "Xy12"}
    assert list(leaks(lines, secrets)) == [f"{GROUP} has {leak}: {line}"]


def test_ordinary_lines_have_no_leaks() -> None:
    lines = [
        "START RequestId: 8a2d37cb-47ad-4359-ad63-721f910fb9f5 Version: $LATEST",
        '{"level":"INFO","message":"refused","service":"scrip","code":"forbidden","status":403}',
        '{"message":"not synced","subject":"8a2d37cb-47ad-4359-ad63-721f910fb9f5"}',
    ]
    assert list(leaks([(GROUP, line) for line in lines], {})) == []
