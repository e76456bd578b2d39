"""A backup as a folder, in the format in which DynamoDB exports a table to S3.

data/<name>.json.gz    items, a line of JSON each: {"Item": {"pk": {"S": "ACCOUNT#..."}, ...}}
manifest-files.json    a line for each of these files with its number of items; written last
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from scrip.store.items import Wire, with_bytes
from scrip_cli.errors import CommandError

MANIFEST = "manifest-files.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file of items, and how many items the manifest says it has."""

    path: Path
    items: int

    def read(self) -> Iterator[Wire]:
        """Yield the items. Raises CommandError if the file is missing or cannot be read."""
        try:
            with gzip.open(self.path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    yield with_bytes(json.loads(line)["Item"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as exc:
            raise CommandError(
                f"{self.path} cannot be read: {exc}.", "Download the complete backup again."
            ) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A complete backup. `name` is the hash of its manifest, so no other backup has it."""

    name: str
    files: Sequence[DataFile]

    @property
    def items(self) -> int:
        """The number of items in all files."""
        return sum(file.items for file in self.files)

    def check(self) -> None:
        """Read all of it once. Raises CommandError unless every item is there."""
        for file in self.files:
            found = sum(1 for _ in file.read())
            if found != file.items:
                raise CommandError(
                    f"{file.path} has {found} items and should have {file.items}.",
                    "Download the complete backup again.",
                )


class BackupWriter:
    """A folder that is a backup once it is finished."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises CommandError if it is not empty or cannot be made."""
        self.folder = folder
        self._manifest: list[dict[str, Any]] = []
        try:
            (folder / "data").mkdir(mode=0o700, parents=True)
        except OSError as exc:
            raise CommandError(
                f"{folder} cannot be made: {exc.strerror}.", "Name a folder that does not exist."
            ) from exc
        folder.chmod(0o700)

    def add(self, wires: Sequence[Wire]) -> None:
        """Write items to a new file."""
        name = f"data/{len(self._manifest):08}.json.gz"
        lines = "".join(
            json.dumps({"Item": wire}, default=_base64, separators=(",", ":")) + "\n"
            for wire in wires
        )
        self._write(name, gzip.compress(lines.encode(), mtime=0))
        self._manifest.append({"itemCount": len(wires), "dataFileS3Key": name})

    def finish(self) -> None:
        """Write the manifest, without which the folder is no backup."""
        lines = "".join(json.dumps(file) + "\n" for file in self._manifest)
        self._write(MANIFEST, lines.encode())

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            path.write_bytes(content)
        except OSError as exc:
            raise CommandError(
                f"{path} cannot be written: {exc.strerror}.",
                "Remove the folder, and make the backup where there is space.",
            ) from exc


def read_backup(folder: Path) -> Backup:
    """Return the backup in a folder. Raises CommandError if there is none."""
    try:
        manifest = (folder / MANIFEST).read_bytes()
        files = [
            DataFile(
                # S3's key names folders that a download does not have.
                path=folder / "data" / PurePosixPath(file["dataFileS3Key"]).name,
                items=file["itemCount"],
            )
            for file in map(json.loads, manifest.splitlines())
        ]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise CommandError(
            f"{folder} is not a backup: {MANIFEST} is missing or cannot be read.",
            "Name the folder that has it. An interrupted backup has none: make another.",
        ) from exc
    return Backup(name=hashlib.sha256(manifest).hexdigest(), files=files)


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value))
