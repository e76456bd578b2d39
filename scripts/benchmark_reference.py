"""Prints docs/reference/benchmark.md from benchmark.json, the results of `make bench`."""

import json
from pathlib import Path

from bench import table

RESULT = Path(__file__).parent.parent / "docs/reference/benchmark.json"

HEAD = """\
# Benchmark results

Made by `make reference` from `docs/reference/benchmark.json`, which `make bench` wrote; do not
edit. [What is measured, how, and how to read it](../explanation/benchmark.md).

"""


def page() -> str:
    """Return the page."""
    result = json.loads(RESULT.read_text())
    machine = result["machine"]
    mode = "full" if result["mode"] == "whole" else "quick"
    run = (
        f"A {mode} run on {result['began_at'][:10]}: {result['seconds_here']:.0f}"
        f" seconds on {machine['processors']} processors ({machine['processor']}),"
        f" {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}. Prices are"
        f" those of {result['prices']['region']} as of {result['prices']['as_of']}.\n"
        f"{table.REMARK}\n\n"
        "![Cost and units of a consume, wrong charges, and throughput](benchmark.svg)\n"
    )
    sections = [table.markdown(name, part) for name, part in result["parts"].items()]
    return "\n".join([HEAD + run, *sections])


if __name__ == "__main__":
    print(page(), end="")
