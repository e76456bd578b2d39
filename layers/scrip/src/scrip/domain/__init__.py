"""The rules of credits: pure values and functions, no clock, no network, no environment."""
