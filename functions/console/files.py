"""The files of the console and of the users' page, and the folder that they are served from.

The name is a hash of all files. So a file's content never changes under its address, imports are
relative, and a page never mixes the files of two deployments.

Nothing is read before the first request.
"""

import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from posixpath import dirname, join, normpath

STATIC = Path(__file__).parent / "static"
CONSOLE = "index.html"
USER_PAGE = "me/index.html"
EMBEDDED = "me/credits.js"
"""The script of the custom element, which other sites load."""

VERSION = "@version@"
"""Placeholder in a page: the name of the folder."""

MODULES = "@modules@"
"""Placeholder in a page: a link for each module that it starts with, its own first."""

APP = re.compile(r'data-app="([^"]+)"')
"""What a page imports first: the module that its template names."""

IMPORTED = re.compile(r'from "(\.[^"]+)"')
"""The relative path of a module that another one imports at once."""


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
def page(path: str) -> str:
    """Return a page, which links to the files of this version."""
    text = files()[path]
    links = "\n".join(
        f'<link rel="modulepreload" href="console/{VERSION}/{module}">'
        for module in _modules(*APP.findall(text))
    )
    return text.replace(MODULES, links).replace(VERSION, version())


def _modules(app: str) -> list[str]:
    """Return a module and all that it imports at once, directly or not."""
    found = [app]
    for path in found:  # grows on the way
        imported = (normpath(join(dirname(path), name)) for name in IMPORTED.findall(files()[path]))
        found += [name for name in dict.fromkeys(imported) if name not in found]
    return found
