"""The console's files, and the name of the folder that they are served from.

The name is a hash of all files. So a file's content never changes under its address, imports are
relative, and a page never mixes the files of two deployments.

Nothing is read before the first request.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"

VERSION = "@version@"
"""Placeholder in the page: the name of the folder."""

MODULES = "@modules@"
"""Placeholder in the page: a link for each module."""


@cache
def files() -> dict[str, str]:
    """Return the text of every file by its path below `static`."""
    return {
        path.relative_to(STATIC).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(STATIC.rglob("*"))
        if path.is_file()
    }


@cache
def version() -> str:
    """Return the hash of all files."""
    digest = sha256()
    for path, text in files().items():
        digest.update(f"{path}\0{sha256(text.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


@cache
def page() -> str:
    """Return the console's only page, which links to the files of this version."""
    links = "\n".join(
        f'<link rel="modulepreload" href="console/{VERSION}/{path}">'
        for path in files()
        if path.endswith(".js") and not path.startswith("vendor/")
    )
    return files()[PAGE].replace(MODULES, links).replace(VERSION, version())
