"""Scrip: credits, and a ledger that explains every change."""
