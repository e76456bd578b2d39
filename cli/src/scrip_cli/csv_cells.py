"""Text in a cell of CSV: a spreadsheet must show it, not run it as a formula."""

_MARK = "'"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def marked(text: str) -> str:
    """Return text as a cell: with an apostrophe before it if it would begin a formula.

    Source: OWASP, CSV Injection.
    """
    return _MARK + text if text.startswith(_FORMULA_STARTS) else text


def unmarked(cell: str) -> str:
    """Return the text that `marked` made a cell of."""
    text = cell.removeprefix(_MARK)
    return text if text.startswith(_FORMULA_STARTS) else cell
