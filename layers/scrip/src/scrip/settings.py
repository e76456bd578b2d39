"""Settings: what the stack passes to its functions in the environment."""

import os
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel

from scrip.domain.commands import ResetAnchor


def known_time_zone(time_zone: str) -> str:
    """Return the name of an IANA time zone; raise ValueError if there is none of this name."""
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, OSError) as exc:
        raise ValueError("not an IANA time zone") from exc
    return time_zone


class Settings(BaseModel):
    """The environment of a function, checked once. Names are those of template.yaml."""

    table_name: str
    table_roots: str = ""
    stage: str = "dev"
    signup_credits: int = 100
    default_plan: str = "free"
    reset_anchor: ResetAnchor = ResetAnchor.SIGNUP
    time_zone: Annotated[str, AfterValidator(known_time_zone)] = "UTC"
    match_typed_names: bool = False
    top_up_url: str = ""
    user_page_url: str = ""
    bucket_name: str = ""
    event_bus_name: str = ""
    low_credits: int = 20
    webhook_secrets: str = ""
    renew_queue_url: str = ""
    renew_dead_letters_url: str = ""
    audit_queue_url: str = ""
    events_dead_letters_url: str = ""
    user_pool_id: str = ""
    pool_issuer: str = ""
    console_client_id: str = ""
    mailbox_key: str = ""
    stripe_connected_accounts: str = ""
    required_features: str = ""
    stripe_api_url: str = "https://api.stripe.com"
    sign_in_authority: str = ""
    sign_in_audience: str = ""
    sign_in_client_id: str = ""
    sign_in_token_url: str = ""
    faults: str = ""


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return Settings.model_validate({name.lower(): value for name, value in os.environ.items()})
