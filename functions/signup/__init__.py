"""Cognito's PostConfirmation trigger."""
