"""Compile what was built, so that a cold start compiles nothing.

SAM's zips lose the times of files, by which Python detects stale bytecode. So this bytecode is
never checked against its source, which no function can change anyway. It names files by their paths
in Lambda, so it is the same wherever it is compiled.

Run as `python -m scrip_cli.local.bytecode BUILD_FOLDER`, with the functions' version of Python.
"""

import sys
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode

LAYER_PLACE, FUNCTION_PLACE = "/opt", "/var/task"
"""The folders into which Lambda unpacks a layer and a function."""


def compile_build(build_dir: Path) -> None:
    """Compile every module of the layers and the functions in a build folder."""
    for folder in sorted(path for path in build_dir.iterdir() if path.is_dir()):
        compile_folder(folder, LAYER_PLACE if folder.name.endswith("Layer") else FUNCTION_PLACE)


def compile_folder(folder: Path, place: str, processes: int = 0) -> None:
    """Compile every module of a folder that Lambda unpacks into a place.

    Zero processes are as many as the machine has processors.
    """
    compile_dir(
        folder,
        force=True,
        # A file that does not compile (some packages ship templates) is skipped.
        quiet=2,
        workers=processes,
        stripdir=folder,
        prependdir=place,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    compile_build(Path(sys.argv[1]))
