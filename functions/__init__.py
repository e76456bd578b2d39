"""The Lambda functions: one folder each, a handler that turns an event into a command."""
