"""Parses JSON into typed values, and ignores fields that this client does not know."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, date, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def read(shape: Any, value: Any) -> Any:
    """Parse a JSON value into a type: a dataclass, a tuple, an instant in UTC, a day, or as it is.

    Raises:
        KeyError: a field without a default is missing.
        TypeError: the value is no object or list where one is expected.
        ValueError: an instant or a day cannot be parsed.
    """
    if value is None:
        return None
    if shape is datetime:
        return datetime.fromisoformat(value).astimezone(UTC)
    if shape is date:
        return date.fromisoformat(value)
    if is_dataclass(shape):
        return _read_object(shape, value)
    origin, of = get_origin(shape), get_args(shape)
    if origin is tuple:
        value = tuple(read(of[0], item) for item in value)
    elif origin is dict:
        value = {name: read(of[1], item) for name, item in value.items()}
    elif origin in {Union, UnionType}:
        [inner] = set(of) - {NoneType}
        value = read(inner, value)
    return value


def _read_object(shape: Any, value: dict[str, Any]) -> Any:
    hints = _hints(shape)
    return shape(
        **{
            field.name: read(hints[field.name], value[name_of(field)])
            for field in fields(shape)
            if name_of(field) in value
            or (field.default is MISSING and field.default_factory is MISSING)
        }
    )


def name_of(field: Field[Any]) -> str:
    """Return what the API calls a field: `from_` has the underscore only here."""
    return field.name.removesuffix("_")


@cache
def _hints(shape: Any) -> dict[str, Any]:
    return get_type_hints(shape)
