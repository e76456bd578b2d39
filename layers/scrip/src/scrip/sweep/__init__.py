"""The sweep: it renews accounts that get no requests."""
