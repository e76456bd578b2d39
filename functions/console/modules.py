"""Joins the console's modules into one script, so that a page takes one call and not fifty.

Each file that a page asks for is a call of a function, and browsers ask for all of them at once. A
module becomes a function that returns what it exports, and stands behind those that it imports.
That is all that is known of JavaScript here: what is imported and exported has a name, and those
lines begin with `import` and `export`.
"""

import re
from collections.abc import Mapping
from posixpath import dirname, join, normpath

IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)";\n', re.MULTILINE)
DECLARED = re.compile(r"^export (?=(?:async )?(?:const|function|class) (\w+))", re.MULTILINE)
NAMED = re.compile(r"^export \{([^}]*)\};\n", re.MULTILINE)
UNKNOWN = re.compile(r"^(?:import|export)\b.*| as .*module\d|\bimport\.meta\b", re.MULTILINE)


def joined(modules: Mapping[str, str], entry: str) -> str:
    """Return one module that does what the module `entry` does, of those by their paths.

    Raises:
        ValueError: modules import each other in a circle, or say something that is not known here.
        KeyError: a module is imported that is not there.
    """
    numbers: dict[str, int] = {}
    parts: list[str] = []

    def add(path: str, importers: tuple[str, ...]) -> None:
        if path in importers:
            raise ValueError(f"{path} imports itself, by way of {', '.join(importers)}")
        if path in numbers:
            return
        for _, imported in IMPORT.findall(modules[path]):
            add(_resolved(path, imported), (*importers, path))
        numbers[path] = len(numbers)
        parts.append(_as_function(path, modules[path], numbers))

    add(entry, ())
    return "\n".join(parts)


def _as_function(path: str, text: str, numbers: Mapping[str, int]) -> str:
    exported = [
        *DECLARED.findall(text),
        *(name for names in NAMED.findall(text) for name in re.findall(r"\w+", names)),
    ]

    def imports(match: re.Match[str]) -> str:
        return f"const {{{match[1]}}} = module{numbers[_resolved(path, match[2])]};\n"

    body = NAMED.sub("", DECLARED.sub("", IMPORT.sub(imports, text)))
    if unknown := UNKNOWN.search(body):
        raise ValueError(f"{path}: {unknown[0]}")
    returned = ", ".join(exported)
    return f"const module{numbers[path]} = (() => {{\n{body}return {{ {returned} }};\n}})();\n"


def _resolved(path: str, imported: str) -> str:
    return normpath(join(dirname(path), imported))
