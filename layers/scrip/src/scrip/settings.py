"""Settings: what the stack tells its functions through the environment."""

from functools import cache

from pydantic_settings import BaseSettings

from scrip.domain.commands import ResetAnchor


class Settings(BaseSettings):
    """The environment of a function, checked once. Names are those of template.yaml."""

    table_name: str
    signup_credits: int = 100
    default_plan: str = "free"
    reset_anchor: ResetAnchor = ResetAnchor.SIGNUP
    time_zone: str = "UTC"
    top_up_url: str = ""


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return Settings()
