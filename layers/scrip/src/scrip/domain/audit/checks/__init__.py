"""The checks of the audit. Importing this package registers them.

To add one, write a generator under the decorator of its kind (see `check.py`) with a code of
`Code`, describe the code in docs/reference/audit.md, and add a case to the tests of the audit. What
it must know of earlier entries is a field of `Tally`.
"""

from scrip.domain.audit.checks import account, entries, items, payments, records

__all__ = ("account", "entries", "items", "payments", "records")
