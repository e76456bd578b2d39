"""Text in a cell of CSV: a spreadsheet must show it, not run it as a formula."""

_MARK = "'"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def marked(text: str) -> str:
    """Return text as a cell: with an apostrophe before it if it would begin a formula.

    Source: OWASP, CSV Injection.
    """
    return _MARK + text if _is_formula(text) else text


def unmarked(cell: str) -> str:
    """Return the text that `marked` made a cell of."""
    return cell.removeprefix(_MARK) if _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    """Return whether text would begin a formula, but for marks that it has already."""
    return text.lstrip(_MARK).startswith(_FORMULA_STARTS)
