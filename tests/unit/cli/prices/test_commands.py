"""`scrip prices`: the file that `pull` writes, and what `check` finds in it later."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app

RATE = ("--credit-value", "0.00001", "--markup", "1.5")
MINI = "openai:gpt-5-mini"
SONNET = "anthropic:claude-sonnet-4-5"


def prices(*words: str) -> Result:
    return CliRunner().invoke(app, ["prices", *words])


def pulled(*models: str, rate: tuple[str, ...] = RATE) -> Result:
    return prices("pull", *[word for name in models for word in ("--models", name)], *rate)


def test_a_price_is_an_exact_fraction_of_whole_numbers() -> None:
    """0.25, 0.025 and 2 dollars for a million tokens; 1.5 dollars are 150 000 credits."""
    answer = pulled(MINI)
    assert answer.exit_code == ExitCode.DONE, answer.output
    assert YAML(typ="safe").load(answer.stdout) == {
        "features": {
            "openai.gpt-5-mini": {
                "name": "GPT-5 mini",
                "unit": "token",
                "meters": {
                    "input": {"cost": 3, "per": 80},
                    "cached_input": {"cost": 3, "per": 800},
                    "output": {"cost": 3, "per": 10},
                    "input_image": {"cost": 3, "per": 80},
                    "web_search": {"cost": 1500},
                },
            }
        }
    }


def test_the_file_says_what_its_prices_were_made_from(tmp_path: Path) -> None:
    out = tmp_path / "prices.yaml"
    assert prices("pull", "--models", MINI, *RATE, "--out", str(out)).stdout == ""
    first, *_ = out.read_text().splitlines()
    assert first.startswith("# genai-prices ")
    assert first.endswith(", --credit-value 0.00001 --markup 1.5")
    assert out.read_text() == pulled(MINI).stdout


@pytest.mark.parametrize(("credit_value", "notes"), [("0.0000171", 1), ("0.000017", 0)])
def test_a_feature_whose_typical_call_is_cheap_is_noted(credit_value: str, notes: int) -> None:
    """The call costs 0.00085 dollars."""
    answer = pulled(MINI, rate=("--credit-value", credit_value, "--markup", "1"))
    assert answer.stderr.count("rounding up can add") == notes


def test_a_tier_and_what_has_no_meter_are_noted() -> None:
    answer = pulled(MINI, SONNET)
    assert "openai.gpt-5-mini has no meter for storage_searches_kcount." in answer.stderr
    assert "above-200000 is for calls with more than 200 000 input tokens." in answer.stderr


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("openai:gpt-99", ExitCode.FAILED),
        ("nobody:gpt-5", ExitCode.FAILED),
        ("openai:tts-1", ExitCode.FAILED),
        ("gpt-5-mini", ExitCode.USAGE),
        ("openai:", ExitCode.USAGE),
    ],
)
def test_a_model_without_a_known_price_per_token_is_refused(model: str, code: ExitCode) -> None:
    answer = pulled(MINI, model)
    assert (answer.exit_code, answer.stdout) == (code, "")


@pytest.mark.parametrize("number", ["0", "-1", "1e-5", "nan", "a", "1.0000000001"])
def test_a_rate_is_a_positive_decimal_number(number: str) -> None:
    for rate in (
        ("--credit-value", number, "--markup", "1"),
        ("--credit-value", "1", "--markup", number),
    ):
        assert pulled(MINI, rate=rate).exit_code == ExitCode.USAGE


def test_a_price_that_needs_too_large_numbers_is_refused() -> None:
    answer = pulled(MINI, rate=("--credit-value", "123456.789123457", "--markup", "1.123456789"))
    assert answer.exit_code == ExitCode.FAILED
    assert "fewer digits" in answer.stderr


def check(tmp_path: Path, text: str) -> Result:
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    return prices("check", str(path), *RATE)


def test_nothing_has_moved_right_after_pull(tmp_path: Path) -> None:
    answer = check(tmp_path, pulled(MINI, SONNET).stdout)
    assert (answer.exit_code, answer.stdout) == (ExitCode.DONE, "")


def test_prices_that_have_moved_are_listed_and_are_an_exit_code(tmp_path: Path) -> None:
    text = pulled(MINI).stdout
    moved = text.replace("per: 10\n", "per: 20\n").replace(
        "      input_image:\n        cost: 3\n        per: 80\n", ""
    )
    answer = check(tmp_path, moved)
    assert answer.exit_code == ExitCode.FOUND
    assert answer.stdout.splitlines() == [
        "openai.gpt-5-mini output: 150000 -> 300000 (+100.0%)",
        "openai.gpt-5-mini input_image: none -> 37500",
    ]


def test_a_model_or_tier_that_is_gone_has_moved(tmp_path: Path) -> None:
    text = pulled(MINI).stdout.replace("openai.gpt-5-mini", "openai.gpt-5-mini-above-7")
    for gone in (text, text.replace("gpt-5-mini-above-7", "gpt-0")):
        answer = check(tmp_path, gone)
        assert answer.exit_code == ExitCode.FOUND
        assert "output: 300000 -> none" in answer.stdout


def test_a_tier_that_is_not_in_the_file_has_moved(tmp_path: Path) -> None:
    short, _ = pulled(SONNET).stdout.split("  anthropic.claude-sonnet-4-5-above-200000:")
    answer = check(tmp_path, short)
    assert answer.exit_code == ExitCode.FOUND
    first, *_ = answer.stdout.splitlines()
    assert first == "anthropic.claude-sonnet-4-5-above-200000 input: none -> 900000"


def test_features_that_are_not_models_are_left_alone(tmp_path: Path) -> None:
    own = """
        plans: {free: {name: Free, monthly_credits: 1}}
        features:
          chat: {name: Chat, cost: 5}
          openai.tts-1: {name: Speech, cost: 5}
          agent: {name: Agent, meters: {input: {cost: 1, per: 7}}}
    """
    assert check(tmp_path, own).exit_code == ExitCode.DONE


def test_a_file_with_faults_is_refused(tmp_path: Path) -> None:
    answer = check(tmp_path, "features:\n  a:\n    meters: {b: 1}\n")
    assert answer.exit_code == ExitCode.FAILED
    assert "catalog.yaml:3: features.a.meters.b" in answer.stderr
