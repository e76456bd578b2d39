"""Scrip's command line: what a developer or an operator runs by hand."""
