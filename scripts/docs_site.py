"""Prepares docs/ for the site of `make docs`: links to files elsewhere lead to the repository.

Usage: docs_site.py FOLDER [REPOSITORY]. The repository is a URL such as
https://github.com/you/scrip. Without one, files elsewhere are named without a link.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def prepared(page: Path, repository: str) -> str:
    """Return a page's text with links to existing files outside docs/ replaced."""

    def replaced(match: re.Match[str]) -> str:
        words, target = match["words"], (page.parent / match["path"]).resolve()
        if target.is_relative_to(DOCS) or not target.exists():
            return match[0]
        path = f"{target.relative_to(ROOT).as_posix()}{match['anchor']}"
        return f"[{words}]({repository}/blob/HEAD/{path})" if repository else words

    link = r"(?<!!)\[(?P<words>[^\]]+)\]\((?P<path>[^)\s:#]+)(?P<anchor>[^)\s]*)\)"
    return re.sub(link, replaced, page.read_text())


if __name__ == "__main__":
    folder, *repository = sys.argv[1:]
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder)
    shutil.copy(ROOT / "scripts/docs_site.css", folder)
    for found in DOCS.rglob("*.md"):
        Path(folder, found.relative_to(DOCS)).write_text(prepared(found, "".join(repository)))
