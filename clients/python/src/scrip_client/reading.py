"""Parses JSON into typed values, and ignores fields that this client does not know."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def read(shape: Any, value: Any) -> Any:
    """Parse a JSON value into a type: a dataclass, a tuple, an instant in UTC, a plain value.

    Raises:
        KeyError: a field without a default is missing.
        TypeError: the value is no object or list where one is expected.
        ValueError: an instant cannot be parsed.
    """
    if value is None:
        return None
    if shape is datetime:
        return datetime.fromisoformat(value).astimezone(UTC)
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
            field.name: read(hints[field.name], value[field.name])
            for field in fields(shape)
            if field.name in value
            or (field.default is MISSING and field.default_factory is MISSING)
        }
    )


@cache
def _hints(shape: Any) -> dict[str, Any]:
    return get_type_hints(shape)
