"""A file that is written piece by piece and can be continued however the process ended.

Until FILE is complete, FILE.resume beside it records its length and where to continue. A piece is
on disk before FILE.resume records it, and FILE.resume is replaced as a whole. So FILE has at least
what FILE.resume records; anything more is half a piece, and is cut off.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from scrip_cli.errors import CommandError


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """How far a file has come; `place` is where to continue, None at the beginning and the end."""

    place: dict[str, Any] | None = None
    bytes: int = 0
    entries: int = 0
    unreadable: int = 0


class ResumableFile:
    """An open file of this kind. `point` is how far it has come.

    Every method raises CommandError if the disk fails.
    """

    def __init__(self, path: Path, question: dict[str, Any]) -> None:
        """Open a new file, or continue one that answers the same question."""
        self.path = path
        self.question = question
        self.resume = path.with_name(f"{path.name}.resume")
        with self._disk_errors():
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
            self.point = self._begun()
            with self._disk_errors():
                os.ftruncate(self._file, self.point.bytes)
                os.lseek(self._file, 0, os.SEEK_END)
        except BaseException:  # Ctrl-C among them: without an object no one else can close the file
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; unless it is complete it can be continued."""
        os.close(self._file)

    def append(self, piece: bytes, point: Point) -> None:
        """Write a piece; `point` is how far the file has come with it.

        The last piece deletes FILE.resume. Killed before that, the file continues with that piece.
        """
        with self._disk_errors():
            if piece:
                self._write(piece)
            if point.place is None:
                self.resume.unlink()
                self._sync_folder()
            else:
                self._save(point)
        self.point = point

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise CommandError(
                f"Another export is writing {self.path}.", "Wait for it, or name another file."
            ) from exc

    def _begun(self) -> Point:
        """Return how far the file has come, and mark a new one as begun."""
        with self._disk_errors():
            size = os.fstat(self._file).st_size
            saved = self.resume.read_bytes() if self.resume.exists() else None
        if saved is None:
            if size:
                raise CommandError(
                    f"{self.path} already exists.", "Name another file, or remove it first."
                )
            with self._disk_errors():
                self._save(Point())
            return Point()
        begun = self._read(saved)
        if size < begun.bytes:
            raise self._mismatch(f"{self.path} is shorter than {self.resume.name} records")
        return begun

    def _read(self, saved: bytes) -> Point:
        try:
            fields = json.loads(saved)
            question, point = fields["question"], Point(**fields["point"])
        except (ValueError, KeyError, TypeError) as exc:
            raise self._mismatch(f"{self.resume} cannot be read") from exc
        if question != self.question:
            raise self._mismatch(f"{self.path} was begun by a different export")
        return point

    def _mismatch(self, problem: str) -> CommandError:
        return CommandError(
            f"{problem}.",
            f"Repeat the exact command that began it, or remove both files: {self.path} and "
            f"{self.resume}.",
        )

    def _write(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def _save(self, point: Point) -> None:
        written = self.resume.with_name(f"{self.resume.name}.new")
        with written.open("w", encoding="utf-8") as file:
            json.dump({"question": self.question, "point": asdict(point)}, file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self.resume)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise CommandError(
                f"{exc.filename or self.path} cannot be written: {exc.strerror}.",
                "Fix that, then run the same command again to continue.",
            ) from exc
