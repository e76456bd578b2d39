"""The root certificates that functions trust for the table, and when they do."""

import ssl
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.config import Config

from scrip import aws
from tests.functional.conftest import ROOT, template
from tests.functional.test_template import parameters

FILE = aws.DATA / "amazon_roots.pem"

AMAZON = {
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
}
"""The roots that Amazon recommends to trust: https://www.amazontrust.com/repository/."""


def roots(file: Path) -> dict[Any, bytes]:
    """Return the certificates in a file by their subjects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    subjects = [root["subject"] for root in context.get_ca_certs()]
    return dict(zip(subjects, context.get_ca_certs(binary_form=True), strict=True))


def test_they_are_amazons_as_botocore_has_them() -> None:
    trusted, known = roots(FILE), roots(Path(botocore.__file__).with_name("cacert.pem"))
    assert trusted.items() <= known.items()
    assert {dict(part for [part] in subject)["commonName"] for subject in trusted} == AMAZON


@pytest.mark.parametrize(
    ("wanted", "partition", "trusts"),
    [("On", "aws", True), ("Off", "aws", False), ("On", "aws-cn", False)],
)
def test_only_partition_aws_trusts_them_and_only_unless_it_is_off(
    wanted: str, partition: str, *, trusts: bool
) -> None:
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    chosen = parameters(AmazonRoots=wanted, **{"AWS::Partition": partition})
    in_layer = FILE.relative_to(ROOT / "layers/scrip/src")
    assert chosen.resolve(variables["TABLE_ROOTS"]) == (f"/opt/python/{in_layer}" if trusts else "")


def trusted_by(monkeypatch: pytest.MonkeyPatch, *roots: str) -> object:
    """Return what a new client verifies certificates with."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    made = aws.client("dynamodb", Config(), *roots)
    return made._endpoint.http_session._verify  # noqa: SLF001 - botocore shows it nowhere else


def test_a_client_trusts_them_unless_another_bundle_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert trusted_by(monkeypatch) is True
    assert trusted_by(monkeypatch, str(FILE)) == str(FILE)
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/ssl/own.pem")
    assert trusted_by(monkeypatch, str(FILE)) == "/etc/ssl/own.pem"
