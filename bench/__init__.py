"""Benchmarks: what README's figures come from. `make` lists how to run them."""
