"""Spending credits, and asking first what it would cost."""
