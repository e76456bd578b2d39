"""`scrip what-if`: what the past would have cost at other prices."""
