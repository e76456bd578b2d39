"""The providers' names, as an option lists them. The class Provider has more, and loads slowly."""

from typing import Literal

ProviderName = Literal["stripe", "clerk", "standard", "polar"]
