"""A callback that charges for the model calls of LiteLLM.

Only this module needs LiteLLM, of which it uses the interface `CustomLogger`.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any

from litellm.integrations.custom_logger import CustomLogger

from scrip_client.calls import with_called
from scrip_client.client import Scrip
from scrip_client.errors import ScripError
from scrip_client.model_calls import plain
from scrip_client.openai_calls import ChatCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scrip_client.calls import Details
    from scrip_client.client import AsyncScrip
    from scrip_client.holding import AsyncHold

logger = logging.getLogger("scrip_client")


class ScripLogger(CustomLogger):  # type: ignore[misc]
    """Charges the account in a call's `user`: `litellm.callbacks = [ScripLogger(...)]`.

    The entries name the model, and the `reference` in the call's `metadata`.

    With an `AsyncScrip`, `litellm.acompletion` holds the most that a call can cost, and raises the
    errors of `hold` before the provider is asked. LiteLLM does not say that a stream was left, or
    what it had delivered: once nobody holds the stream, its prompt is charged, as an estimate. With
    a `Scrip`, `litellm.completion` is charged after the call, since LiteLLM lets nobody refuse it;
    what cannot be charged is logged.
    """

    def __init__(
        self,
        scrip: Scrip | AsyncScrip,
        *,
        feature: Callable[[str], str],
        max_tokens: int | None = None,
    ) -> None:
        """Take what names the feature of a model, and a limit for answers that have none."""
        super().__init__()
        self._scrip = scrip
        self._feature = feature
        self._max_tokens = max_tokens
        self._open: dict[str, tuple[AsyncHold, ChatCall]] = {}

    async def async_pre_call_deployment_hook(
        self,
        kwargs: dict[str, Any],
        call_type: Any,  # noqa: ARG002 - LiteLLM passes it by position
    ) -> None:
        """Hold the most that a chat completion can cost.

        Raises:
            ScripError: the credits are not held, so the call is not made.
            ValueError: the call names no user, or nothing limits its answer.
        """
        call_id = kwargs["litellm_call_id"]
        if "messages" not in kwargs or call_id in self._open or isinstance(self._scrip, Scrip):
            return
        # Nothing may hold what LiteLLM drops with the stream.
        arguments = {name: kwargs[name] for name in kwargs.keys() - {"litellm_logging_obj"}}
        call = ChatCall(arguments, self._max_tokens)
        feature, details = self._feature(kwargs["model"]), details_of(kwargs)
        hold = self._scrip.hold(feature, account_of(kwargs), usage=call.most, **details)
        self._open[call_id] = await hold.__aenter__(), call
        weakref.finalize(kwargs["litellm_logging_obj"], self._leave, call_id)

    async def async_log_success_event(
        self,
        kwargs: dict[str, Any],
        response_obj: Any,
        start_time: Any,  # noqa: ARG002 - LiteLLM passes it by name
        end_time: Any,  # noqa: ARG002
    ) -> None:
        """Charge for what the call used."""
        hold, call = self._open.pop(kwargs["litellm_call_id"], (None, None))
        if hold is not None and call is not None:
            # LiteLLM itself counts the tokens of a stream that did not ask for its usage.
            hold.use(usage=meters_of(response_obj.usage), estimated=call.hides_usage)
            await hold.__aexit__(None, None, None)

    async def async_log_failure_event(
        self,
        kwargs: dict[str, Any],
        response_obj: Any,  # noqa: ARG002 - LiteLLM passes it by name
        start_time: Any,  # noqa: ARG002
        end_time: Any,  # noqa: ARG002
    ) -> None:
        """Give back what was held."""
        hold, _ = self._open.pop(kwargs["litellm_call_id"], (None, None))
        if hold is not None:
            error = kwargs.get("exception") or RuntimeError("the model call failed")
            await hold.__aexit__(type(error), error, None)

    def log_success_event(
        self,
        kwargs: dict[str, Any],
        response_obj: Any,
        start_time: Any,  # noqa: ARG002 - LiteLLM passes it by name
        end_time: Any,  # noqa: ARG002
    ) -> None:
        """Charge for a blocking call."""
        if not isinstance(self._scrip, Scrip):
            logger.error("litellm.completion is not charged: call acompletion, or pass a Scrip")
            return
        try:
            self._scrip.consume(
                account_of(kwargs),
                self._feature(kwargs["model"]),
                usage=meters_of(response_obj.usage),
                idempotency_key=f"litellm-{kwargs['litellm_call_id']}",
                **details_of(kwargs),
            )
        except (ScripError, ValueError) as exc:
            logger.error("Could not charge for a model call: %s", exc)  # noqa: TRY400 - it says all

    def _leave(self, call_id: str) -> None:
        """Charge for the prompt of a stream that nobody holds any more."""
        hold, call = self._open.pop(call_id, (None, None))
        if hold is not None and call is not None:
            hold.use(**call.used)
            hold.abandon(lambda: None)


def account_of(kwargs: Mapping[str, Any]) -> str:
    """Return the account that a call names.

    Raises:
        ValueError: it names none.
    """
    account_id = kwargs.get("user")
    if not isinstance(account_id, str):
        raise ValueError("nobody would pay for this call: pass user=account_id to LiteLLM")  # noqa: TRY004
    return account_id


def details_of(kwargs: Mapping[str, Any]) -> Details:
    """Return what the ledger keeps: the model, and the `reference` in the call's own metadata."""
    of_call = (kwargs.get("litellm_params") or kwargs).get("metadata") or {}
    reference = of_call.get("reference")
    details: Details = {} if reference is None else {"reference": reference}
    return with_called(details, model=kwargs["model"])


def meters_of(usage: Any) -> dict[str, int]:
    """Return the meters of LiteLLM's usage, which is alike for all providers.

    Its prompt tokens include those that were read from or written to a cache.
    """
    counts = plain(usage)
    details = counts.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or counts.get("cache_read_input_tokens") or 0
    written = details.get("cache_creation_tokens") or counts.get("cache_creation_input_tokens") or 0
    meters = {
        "input": max(0, counts["prompt_tokens"] - cached - written),
        "cached_input": cached,
        "cache_write": written,
        "output": counts["completion_tokens"],
    }
    return {name: count for name, count in meters.items() if count}
