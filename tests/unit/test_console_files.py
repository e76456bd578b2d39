"""The console's files: what others wrote is what they published, and ours fits together."""

import json
import re
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from functions.console.modules import joined
from scrip.domain.account import PAYMENT_GRACE

STATIC = Path(__file__).parents[2] / "functions/console/static"
VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())
INDEX = (STATIC / "index.html").read_text()
OURS = [
    path.relative_to(STATIC).as_posix()
    for path in sorted(STATIC.rglob("*.js"))
    if VENDOR not in path.parents
]


def test_the_libraries_are_as_their_authors_published_them() -> None:
    hashes = {told["file"]: told["sha256"] for told in MANIFEST}
    files = [path for path in VENDOR.iterdir() if path.name != "manifest.json"]
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in files} == hashes


def test_every_library_comes_with_its_licence_and_from_the_registry() -> None:
    for told in MANIFEST:
        assert f"{told['name']}.LICENSE.txt" in {other["file"] for other in MANIFEST}
        assert told["source"] == (
            f"https://registry.npmjs.org/{told['name']}/-/{told['name']}-{told['version']}.tgz"
        )


def test_every_module_says_first_what_it_is_for() -> None:
    for name in OURS:
        text = (STATIC / name).read_text()
        assert re.match(r"// [A-Z].+\.\n", text), name


def test_the_page_has_nothing_that_its_policy_forbids() -> None:
    assert not re.search(r"<style|style=|<script(?![^>]* src=)| on\w+=", INDEX)
    for name in OURS:
        text = (STATIC / name).read_text()
        assert not re.search(r"\beval\(|new Function|innerHTML|dangerouslySet", text), name


def test_modules_become_one_in_which_each_stands_once_behind_what_it_imports() -> None:
    modules = {
        "app.js": 'import { one, two } from "./lib/b.js";\n'
        'import {\n  three,\n} from "./c.js";\n'
        "run();\n",
        "lib/b.js": 'import { three } from "../c.js";\n'
        "export const one = 1;\n"
        "export async function two() {}\n",
        "c.js": "const three = 3;\nexport {\n  three,\n};\n",
    }
    assert joined(modules, "app.js").splitlines() == [
        *("const module0 = (() => {", "const three = 3;", "return { three };", "})();", ""),
        *("const module1 = (() => {", "const { three } = module0;", "const one = 1;"),
        *("async function two() {}", "return { one, two };", "})();", ""),
        *("const module2 = (() => {", "const { one, two } = module1;", "const {", "  three,"),
        *("} = module0;", "run();", "return {  };", "})();"),
    ]


def test_what_cannot_be_joined_is_said() -> None:
    circle = {"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'}
    for modules in (
        circle,
        {"a.js": 'import b from "./b.js";\n', "b.js": ""},
        {"a.js": 'import { b as c } from "./b.js";\n', "b.js": ""},
        {"a.js": "export default 1;\n"},
        {"a.js": "const here = import.meta.url;\n"},
    ):
        with pytest.raises(ValueError, match=r"a\.js"):
            joined(modules, "a.js")


def test_every_module_is_used() -> None:
    modules = {name: (STATIC / name).read_text() for name in OURS}
    assert joined(modules, "app.js").count("= (() => {\n//") == len(OURS)


def test_the_console_reckons_with_the_same_grace_as_the_domain() -> None:
    text = (STATIC / "dialogs/quota-effect.js").read_text()
    [days] = re.findall(r"PAYMENT_GRACE = (\d+) \* 24 \* 60 \* 60 \* 1000;", text)
    assert timedelta(days=int(days)) == PAYMENT_GRACE
