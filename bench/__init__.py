"""Benchmarks, the source of the figures in the README. `make` lists how to run them."""
