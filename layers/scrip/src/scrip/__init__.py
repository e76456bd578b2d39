"""Scrip: credits, and a ledger that explains every change."""

from scrip.warm_up import begin

__version__ = "0.3.0"
"""The version of Scrip, in this one place. The Python client has a version of its own."""

begin()
