"""Renewing accounts whose period has begun: the worker of the sweep."""
