"""What an audit checks, one class a promise; each sees every entry once, in order."""
