"""Text in a CSV cell: a spreadsheet must show it, not run it as a formula."""

_MARK = "'"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def marked(text: str) -> str:
    """Return text as a cell, with an apostrophe before it if it would begin a formula.

    Source: OWASP, CSV Injection.
    """
    return _MARK + text if _is_formula(text) else text


def unmarked(cell: str) -> str:
    """Return the text of a cell that `marked` made."""
    return cell.removeprefix(_MARK) if _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    """Return whether text, apart from marks before it, would begin a formula."""
    return text.lstrip(_MARK).startswith(_FORMULA_STARTS)
