"""The HTTP API: callers, requests, answers and problems."""
