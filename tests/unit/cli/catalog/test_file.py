"""The catalog as a file under version control."""

from pathlib import Path

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.catalog import Catalog, Feature, Plan, Rollover
from scrip_cli.catalog.file import catalog_text, read_catalog_file
from scrip_cli.errors import CommandError


def read(tmp_path: Path, text: str) -> Catalog:
    path = tmp_path / "catalog.yaml"
    path.write_text(text, encoding="utf-8")
    return read_catalog_file(path)


def test_a_missing_field_has_the_same_default_as_in_the_api(tmp_path: Path) -> None:
    text = """
        plans:
          pro:
            name: Pro
            monthly_credits: 2_000
            rollover: {max: 1000, periods: 1}
            limits: {storage_bytes: 10}
            provider_ids: [price_1, price_2]
        features:
          chat: {name: "no", cost: 5, active: false}
    """
    assert read(tmp_path, text) == Catalog(
        plans={
            "pro": Plan(
                plan_id="pro",
                name="Pro",
                monthly_credits=2_000,
                rollover=Rollover(max=1_000, periods=1),
                limits={"storage_bytes": 10},
                provider_ids=("price_1", "price_2"),
            )
        },
        features={"chat": Feature(feature_id="chat", name="no", cost=5, active=False)},
    )


def test_the_references_example_is_printed_unchanged(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs/reference/cli.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    assert catalog_text(read(tmp_path, example)) == example


def test_a_printed_catalog_reads_back_unchanged(tmp_path: Path) -> None:
    odd = Plan(
        plan_id="odd",
        name="yes: 'Zoë' # 1",
        monthly_credits=0,
        overdraft_limit=7,
        limits={"a b": 1, "null": 2},
        provider_ids=("1e3", "0x1F"),
        active=False,
    )
    catalog = Catalog(
        plans={**DEFAULT_CATALOG.plans, "odd": odd}, features=DEFAULT_CATALOG.features
    )
    assert read(tmp_path, catalog_text(catalog)) == catalog
    assert read(tmp_path, catalog_text(Catalog(plans={}, features={}))).plans == {}


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("plans: [", ["1: expected the node content"]),
        ("a: b: c", ["1: mapping values are not allowed"]),
        ("plans:\n  a: {}\n  a: {}", ["3: found duplicate key"]),
        ("", ["1: the file: Input should be a valid dictionary"]),
        ("plans: [1]", ["1: plans: Input should be a valid dictionary"]),
        ("plan: {}", ["1: plan: Extra inputs are not permitted"]),
        ("plans:\n  a b: {name: A, monthly_credits: 1}", ["2: plans.a b: String should match"]),
        ("features:\n  a:\n    cost: 1", ["2: features.a.name: Field required"]),
        ("features:\n  a: {name: A, cost: 1, reason: b}", ["2: features.a.reason: "]),
        (
            "plans:\n  a:\n    name: A\n    monthly_credits: 1.5\n    provider_ids:\n      - 7\n",
            [
                "4: plans.a.monthly_credits: Input should be a valid integer",
                "6: plans.a.provider_ids.0: Input should be a valid string",
            ],
        ),
        ('name: "\x01"', ["unacceptable character"]),
    ],
)
def test_every_fault_is_listed_with_its_line(tmp_path: Path, text: str, faults: list[str]) -> None:
    with pytest.raises(CommandError, match="nothing was done") as refused:
        read(tmp_path, text)
    lines = refused.value.output.splitlines()
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(f"{tmp_path}/catalog.yaml:{fault}")


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_bytes("plans: {ü: }".encode("latin-1"))
    with pytest.raises(CommandError, match="has errors"):
        read_catalog_file(path)


def test_faults_in_merged_keys_and_excessive_nesting_are_reported(tmp_path: Path) -> None:
    merged = "plans:\n  a: &a {name: A, monthly_credits: x}\n  b:\n    <<: *a\n    name: B\n"
    for text, fault in ((merged, "plans.b.monthly_credits"), ("a: " + "[" * 5_000, "too deep")):
        with pytest.raises(CommandError) as caught:
            read(tmp_path, text)
        assert fault in caught.value.output
