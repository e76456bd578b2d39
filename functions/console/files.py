"""The console's files as they are served: scripts joined, and all of one version.

No file is read before the first is asked for.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from functions.console.modules import joined

STATIC = Path(__file__).parent / "static"
VERSION = "@version@"
"""Stands in index.html for the hash of all files."""

LIBRARIES = ("preact.min.umd.js", "hooks.umd.js", "htm.umd.js", "oidc-client-ts.min.js")
"""Of vendor/, those that the page needs at once, each behind what it needs itself."""


@cache
def files() -> dict[str, str]:
    """Read all files, by their paths from the page; scripts that are needed at once are joined."""
    found = {
        path.relative_to(STATIC).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(STATIC.rglob("*"))
        if path.is_file()
    }
    libraries = [found.pop(f"vendor/{name}") for name in LIBRARIES]
    own = [path for path in found if path.endswith(".js") and not path.startswith("vendor/")]
    modules = {path: found.pop(path) for path in own}
    return {
        **found,
        "libraries.js": "\n".join(libraries),
        "app.js": joined(modules, "app.js"),
    }


@cache
def version() -> str:
    """Return the hash of all files."""
    digest = sha256()
    for path, text in files().items():
        digest.update(f"{path}\0{sha256(text.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def page() -> str:
    """Return the one page, which asks for the files of this version."""
    return files()["index.html"].replace(VERSION, version())
