"""`scrip prices`: features for model calls, from what their providers charge."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from scrip_cli.exit_codes import ExitCode
from scrip_cli.report import grouped, note
from scrip_cli.session import plain_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scrip_cli.prices.file import Prices
    from scrip_cli.prices.models import ModelFeature

app = typer.Typer(help="Price model calls.", no_args_is_help=True)


class ModelName(NamedTuple):
    """A model, by its provider's ID in genai-prices and by the provider's name for it."""

    provider_id: str
    name: str


class Move(NamedTuple):
    """A price that is another one now, in credits per token; None where there is none."""

    feature_id: str
    meter: str
    before: Fraction | None
    after: Fraction | None


def _number(text: str) -> Fraction:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) or not Fraction(text):
        raise typer.BadParameter("a positive number, such as 1.5")
    return Fraction(text)


def _decimal(number: Fraction) -> str:
    return f"{Decimal(number.numerator) / number.denominator:f}"


def _model_name(text: str) -> ModelName:
    provider_id, _, name = text.partition(":")
    if not (provider_id and name):
        raise typer.BadParameter("a provider and a model, such as openai:gpt-5-mini")
    return ModelName(provider_id, name)


CreditValue = Annotated[
    Fraction,
    typer.Option(parser=_number, metavar="NUMBER", help="What a credit is worth, in US dollars."),
]
Markup = Annotated[
    Fraction,
    typer.Option(
        parser=_number,
        metavar="NUMBER",
        help="What you charge for each dollar that the provider charges.",
    ),
]


@app.command(
    epilog="Example: scrip prices pull --models openai:gpt-5-mini --credit-value 0.00001 "
    "--markup 1.5 > prices.yaml"
)
@plain_errors(local=False)
def pull(
    *,
    models: Annotated[
        list[ModelName],
        typer.Option(
            parser=_model_name,
            metavar="PROVIDER:MODEL",
            help="A model, by the name that its provider gives it. May be repeated.",
        ),
    ],
    credit_value: CreditValue,
    markup: Markup,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            metavar="FILE",
            help="The file to write.",
            show_default="standard output",
        ),
    ] = None,
) -> None:
    """Write a catalog file with a feature for each model, at what its provider charges today.

    The prices come from the installed version of the library genai-prices; nothing is downloaded. A
    model that charges more for long input has a feature of its own for that. Notes name features
    whose typical call is so cheap that rounding can add more than 2 %. Review the file with
    `scrip catalog diff`, then apply it.
    """
    from scrip.ledger import utc_now
    from scrip_cli.catalog.file import catalog_text
    from scrip_cli.catalog.rounding import rounding_notes
    from scrip_cli.prices.file import catalog_of
    from scrip_cli.prices.models import features_of, find_model

    features = [
        feature
        for model in models
        for feature in features_of(
            *find_model(*model), at=utc_now(), credits_per_dollar=markup / credit_value
        )
    ]
    catalog = catalog_of(features)
    text = (
        f"# genai-prices {version('genai-prices')}, "
        f"--credit-value {_decimal(credit_value)} --markup {_decimal(markup)}\n"
        f"{catalog_text(catalog)}"
    )
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
    for remark in (*_remarks(features), *rounding_notes(catalog.features.values())):
        note(remark)


@app.command(epilog="Example: scrip prices check prices.yaml --credit-value 0.00001 --markup 1.5")
@plain_errors(local=False)
def check(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="A catalog file with prices of models.",
        ),
    ],
    *,
    credit_value: CreditValue,
    markup: Markup,
) -> None:
    """Show which model prices have changed since `pull`. Exit codes: 0 none, 6 some.

    A model is recognized by the ID that `pull` gave its feature; other features are left alone. The
    prices come from the installed version of the library genai-prices, so update that first. They
    are shown in credits per million tokens.
    """
    from scrip_cli.prices.file import read_prices

    moves = _moves(read_prices(file), credits_per_dollar=markup / credit_value)
    for move in moves:
        typer.echo(
            f"{move.feature_id} {move.meter}: "
            f"{_per_million(move.before)} -> {_per_million(move.after)}{_percent(move)}"
        )
    if moves:
        raise typer.Exit(ExitCode.FOUND)
    note("No price has changed.")


def _moves(before: Prices, *, credits_per_dollar: Fraction) -> list[Move]:
    """Return the prices in a file that are others now."""
    from scrip.ledger import utc_now
    from scrip_cli.prices.models import features_of, models_by_feature

    models = models_by_feature()
    providers = {feature_id.partition(".")[0] for feature_id in models}
    bases = {re.sub(r"-above-\d+$", "", feature_id) for feature_id in before}
    after = {
        feature.feature_id: feature.meters
        for base in sorted(bases & models.keys())
        for feature in features_of(
            *models[base], at=utc_now(), credits_per_dollar=credits_per_dollar
        )
    }
    # A model that the library has no more has no price, and a new tier had none.
    both = dict.fromkeys([*before, *after])
    return [
        Move(feature_id, meter, then.get(meter), now.get(meter))
        for feature_id in both
        if feature_id.partition(".")[0] in providers
        for then, now in [(before.get(feature_id, {}), after.get(feature_id, {}))]
        for meter in dict.fromkeys([*then, *now])
        if then.get(meter) != now.get(meter)
    ]


def _per_million(price: Fraction | None) -> str:
    return "none" if price is None else f"{price * 1_000_000:.6g}"


def _percent(move: Move) -> str:
    if move.before is None or move.after is None:
        return ""
    return f" ({move.after / move.before - 1:+.1%})"


def _remarks(features: Iterable[ModelFeature]) -> Iterator[str]:
    """Yield what a person should know of these features beside their prices."""
    for feature in features:
        if feature.above:
            yield (
                f"{feature.feature_id} is for calls with more than "
                f"{grouped(feature.above)} input tokens."
            )
        if feature.unpriced:
            yield f"{feature.feature_id} has no meter for {', '.join(feature.unpriced)}."
