"""Names that options list. The classes that have them load slowly, with all that they know."""

from typing import Literal

ProviderName = Literal["stripe", "clerk", "standard", "polar"]

MessageStatus = Literal["received", "applied", "ignored", "unmatched", "failed"]
