"""JSON as typed values: what the API tells more than this client knows is passed over."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def read(shape: Any, told: Any) -> Any:
    """Return JSON as what a type says: dataclasses, tuples of something, instants in UTC.

    Raises:
        KeyError: a dataclass's field is missing that has no default.
        TypeError: an object or a list is something else.
        ValueError: an instant cannot be read.
    """
    if told is None:
        return None
    if shape is datetime:
        return datetime.fromisoformat(told).astimezone(UTC)
    if is_dataclass(shape):
        return _built(shape, told)
    origin = get_origin(shape)
    if origin is tuple:
        return tuple(read(get_args(shape)[0], item) for item in told)
    if origin in {Union, UnionType}:
        [inner] = set(get_args(shape)) - {NoneType}
        return read(inner, told)
    return told


def _built(shape: Any, told: dict[str, Any]) -> Any:
    hints = _hints(shape)
    return shape(
        **{
            field.name: read(hints[field.name], told[field.name])
            for field in fields(shape)
            if field.name in told or field.default is MISSING
        }
    )


@cache
def _hints(shape: Any) -> dict[str, Any]:
    return get_type_hints(shape)
