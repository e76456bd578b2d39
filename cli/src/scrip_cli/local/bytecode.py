"""Compile what SAM built, so that a cold start compiles nothing.

SAM's zips lose the times of files, by which Python detects stale bytecode. So this bytecode is
never checked against its source, which no function can change anyway. It names files by their paths
in Lambda, so it is the same wherever it is compiled.

Run as `python -m scrip_cli.local.bytecode BUILD_FOLDER` with the functions' version of Python.
"""

import sys
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode


def compile_build(build_dir: Path) -> None:
    """Compile every module of the layer and the functions in a build folder."""
    for folder in sorted(path for path in build_dir.iterdir() if path.is_dir()):
        compile_dir(
            folder,
            force=True,
            # A file that does not compile (some packages ship templates) is skipped.
            quiet=2,
            workers=0,
            stripdir=folder,
            prependdir="/opt" if folder.name == "Layer" else "/var/task",
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )


if __name__ == "__main__":
    compile_build(Path(sys.argv[1]))
