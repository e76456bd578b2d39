"""The counts in a provider's usage object, each of which has to be read."""

from collections.abc import Mapping

from scrip.domain.errors import UnknownUsageError


class Counts:
    """An object within usage. A field that is null is the same as one that is missing.

    Every method raises UnknownUsageError, which names the field, if that has not the form it must
    have.
    """

    def __init__(self, provider: str, value: object, path: str = "") -> None:
        """Take an object that is at `path` in the usage."""
        self._provider = provider
        self._path = path
        if not isinstance(value, Mapping):
            raise UnknownUsageError(provider=provider, field=path or "usage")
        self._unread = {name: field for name, field in value.items() if field is not None}
        self._parts: list[Counts] = []

    def __contains__(self, name: str) -> bool:
        return name in self._unread

    def required(self, name: str) -> int:
        """Read a count that must be there."""
        if name not in self:
            raise self.unknown(name)
        return self.optional(name)

    def optional(self, name: str, *, most: int | None = None) -> int:
        """Read a count, 0 if it is missing. It is `most` at most if it is a part of that."""
        count = self._unread.pop(name, 0)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise self.unknown(name)
        if most is not None and count > most:
            raise self.unknown(name)
        return count

    def word(self, name: str) -> str:
        """Read a word that must be there."""
        word = self._unread.pop(name, None)
        if not isinstance(word, str):
            raise self.unknown(name)
        return word

    def part(self, name: str) -> "Counts":
        """Read an object, an empty one if it is missing."""
        return self._part(name, self._unread.pop(name, {}))

    def parts(self, name: str) -> list["Counts"]:
        """Read a list of objects, an empty one if it is missing."""
        values = self._unread.pop(name, [])
        if not isinstance(values, list):
            raise self.unknown(name)
        return [self._part(f"{name}.{index}", value) for index, value in enumerate(values)]

    def check_total(self, name: str, total: int) -> None:
        """Check that the provider's own total, if it is there, is this one."""
        if name in self and self.optional(name) != total:
            raise self.unknown(name)

    def check_all_are_read(self) -> None:
        """Check that no number is left that has not been read."""
        for name, value in self._unread.items():
            if _has_number(value):
                raise self.unknown(name)
        for part in self._parts:
            part.check_all_are_read()

    def unknown(self, name: str) -> UnknownUsageError:
        """Return the error about a field."""
        return UnknownUsageError(provider=self._provider, field=_joined(self._path, name))

    def _part(self, name: str, value: object) -> "Counts":
        part = Counts(self._provider, value, _joined(self._path, name))
        self._parts.append(part)
        return part


def without_cached(text: int, images: int, cached: int) -> tuple[int, int]:
    """Return the tokens of text and of images that are not among the cached ones.

    A provider that does not say which are cached charges the same for both: text comes first.
    """
    left = max(0, text - cached)
    return left, images - (cached - (text - left))


def _has_number(value: object) -> bool:
    """Whether a number but 0 is in a value, however deep; a stack needs no recursion."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif not isinstance(value, bool) and _is_number(value):
            return True
    return False


def _is_number(value: object) -> bool:
    """Whether a value is a number but 0. Some APIs write a long one as a string."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False
    return isinstance(value, int | float) and value != 0


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
