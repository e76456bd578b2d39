"""`scrip prices`: what model calls cost, as features of a catalog file."""
