"""The methods of dataclasses, compiled by `make build` like all other code.

Whenever a dataclass is made, `dataclasses` writes its methods as Python text and compiles it. That
was an eighth of a function's start. The build keeps the code by the text's hash, so Python still
compiles a text that the build has not seen, such as one of another version of Python or of boto3.
"""

import dataclasses
import marshal
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path
from types import CodeType
from typing import Any

FILE = Path(cache_from_source(str(Path(__file__).with_name("methods.py"))))
"""Where the build puts the code: beside the bytecode, whose version of Python it has, too."""


def take_from_build() -> None:
    """Let dataclasses take the code that the build kept, if there is any."""
    with suppress(FileNotFoundError):
        kept: dict[bytes, bytes] = marshal.loads(FILE.read_bytes())  # noqa: S302 - the build's own

        def code_of(text: str) -> CodeType | str:
            code = kept.get(_hash(text))
            return marshal.loads(code) if code else text  # noqa: S302

        _intercept(code_of)


def keep() -> dict[bytes, bytes]:
    """Return where the code of each dataclass that is made from now on goes."""
    kept: dict[bytes, bytes] = {}

    def code_of(text: str) -> CodeType:
        code = compile(text, "<string>", "exec", dont_inherit=True)
        kept[_hash(text)] = marshal.dumps(code)
        return code

    _intercept(code_of)
    return kept


def _intercept(code_of: Callable[[str], CodeType | str]) -> None:
    """Let dataclasses execute the code of a text instead of the text."""

    def execute(text: str, names: dict[str, Any], made: dict[str, Any]) -> None:
        exec(code_of(text), names, made)  # noqa: S102 - as dataclasses does

    vars(dataclasses)["exec"] = execute  # found before Python's own


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()
