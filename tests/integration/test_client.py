"""The client library on the real stack: charges once whatever is lost, and many at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from time import monotonic, sleep
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from scrip_cli.local import demo
from scrip_cli.local.stack import STACK_NAME
from scrip_client import (
    AsyncScrip,
    ClientCredentials,
    HoldNotYoursError,
    InsufficientCreditsError,
    Retries,
    Scrip,
    TokenError,
)
from tests.event_loops import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

CHAT = 5
CHARGES = 200
HOT_CHARGES = 20
SPREAD_OVER = 12
CONNECTIONS = 16
"""Each concurrent request has a process of its own on the local stack."""

PATIENT = Retries(deadline_seconds=120, try_seconds=60, tries_max=100)
"""A local function starts with its first request, which takes time on few cores."""


class ModelError(Exception):
    """An error in the app's own work."""


class LossyTransport(httpx.HTTPTransport):
    """The real network, which loses the responses to the next requests of a path."""

    def __init__(self) -> None:
        super().__init__()
        self.losing: Counter[str] = Counter()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        what = request.url.path.rsplit("/", 1)[1]
        if self.losing[what] == 0:
            return answer
        self.losing[what] -= 1
        answer.read()
        answer.close()
        raise httpx.ReadTimeout("the response was lost")


@pytest.fixture
def network() -> LossyTransport:
    return LossyTransport()


@pytest.fixture(params=["with a token", "under IAM"])
def scrip(
    request: pytest.FixtureRequest,
    stack: LocalStack,
    credentials: ClientCredentials,
    back_end: dict[str, str],
    network: LossyTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scrip]:
    """An app's back end, over a network that can lose responses."""
    http = httpx.Client(transport=network, trust_env=False)
    if request.param == "under IAM":
        for name, value in back_end.items():
            monkeypatch.setenv(name, value)
        client = Scrip.on_aws(stack=STACK_NAME, retries=PATIENT, http=http)
    else:
        url = demo.details(stack).api_url
        client = Scrip(url, credentials=credentials, retries=PATIENT, http=http)
    with client as scrip:
        yield scrip


@pytest.fixture(scope="module")
def open_account(admin: Api) -> Callable[[], str]:
    """Return a function that opens an account of 10 100 credits with a new ID."""

    def opened() -> str:
        body = {"account_id": f"client|{uuid4()}"}
        answer = admin.http.post("/v1/admin/accounts", json=body, headers=admin.headers())
        assert answer.status_code == 201, answer.text
        return body["account_id"]

    return opened


def ledger(scrip: Scrip, account_id: str) -> list[tuple[str, int]]:
    """Return type and amount of each entry since the account was opened, oldest first."""
    return [(entry.type, entry.amount) for entry in scrip.entries(account_id)][::-1][2:]


def test_a_consume_whose_response_is_lost_is_charged_once(
    scrip: Scrip,
    network: LossyTransport,
    open_account: Callable[[], str],
) -> None:
    account_id = open_account()
    network.losing["consume"] = 2
    with scrip.charge("chat", account_id) as charge:
        assert charge.account is not None
        assert charge.account.available == 10_095
    assert network.losing["consume"] == 0
    assert ledger(scrip, account_id) == [("usage", -CHAT)]


def test_a_block_that_raises_is_refunded_once_even_if_the_response_is_lost(
    scrip: Scrip,
    network: LossyTransport,
    open_account: Callable[[], str],
) -> None:
    account_id = open_account()

    def draw() -> None:
        with scrip.charge("image-generation", account_id) as charge:
            network.losing["refunds"] = 1
            charge.refund(10, reason="a corner was blurred")
            network.losing["refunds"] += 1
            raise ModelError("no such model")

    with pytest.raises(ModelError):
        draw()
    assert network.losing["refunds"] == 0
    assert ledger(scrip, account_id) == [("usage", -25), ("refund", 10), ("refund", 15)]
    assert scrip.balance(account_id).available == 10_100


def test_200_concurrent_charges_cost_exactly_their_price(
    stack: LocalStack,
    credentials: ClientCredentials,
    open_account: Callable[[], str],
) -> None:
    hot, *others = [open_account() for _ in range(SPREAD_OVER + 1)]
    accounts = [hot] * HOT_CHARGES
    accounts += [others[n % SPREAD_OVER] for n in range(CHARGES - HOT_CHARGES)]
    refunded: Counter[str] = Counter()

    async def work(scrip: AsyncScrip, number: int) -> None:
        async with scrip.charge("chat", accounts[number]):
            if number % 10 == 0:
                refunded[accounts[number]] += 1
                raise ModelError

    async def session() -> None:
        url = demo.details(stack).api_url
        limits = httpx.Limits(max_connections=CONNECTIONS)
        http = httpx.AsyncClient(trust_env=False, limits=limits)
        async with AsyncScrip(url, credentials=credentials, retries=PATIENT, http=http) as scrip:
            tasks = [work(scrip, number) for number in range(CHARGES)]
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert Counter(map(type, ended)) == {type(None): 180, ModelError: 20}
            for account_id in {*accounts}:
                amounts = Counter([entry.amount async for entry in scrip.entries(account_id)])
                charged = accounts.count(account_id)
                assert amounts[-CHAT] == charged
                assert amounts[CHAT] == refunded[account_id]
                left = (await scrip.balance(account_id)).balance
                assert left == 10_100 - CHAT * (charged - refunded[account_id])
                assert left == sum(amount * count for amount, count in amounts.items())

    run(session())


KILLED = """
import os, signal, sys
from scrip_client import Scrip

url, token, account_id = sys.argv[1:]
lease = Scrip(url, token=token).lease("chat", account_id, capture_seconds=100, expires_in=4)
for _ in range(7):
    lease.consume()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_block_extends_its_hold_and_the_hold_of_a_killed_process_expires(
    stack: LocalStack,
    scrip: Scrip,
    network: LossyTransport,
    open_account: Callable[[], str],
) -> None:
    account_id = open_account()
    details = demo.details(stack)
    argv = [sys.executable, "-c", KILLED, details.api_url, details.service_token, account_id]
    with scrip.hold("chat", account_id, quantity=20, expires_in=4) as hold:
        killed = subprocess.run(argv, env={**os.environ, "NO_PROXY": "*"}, check=False)
        assert killed.returncode == -signal.SIGKILL
        opened = {entry.hold_id for entry in scrip.entries(account_id, type="hold")}
        assert len(opened) == 2
        deadline = monotonic() + 60
        while len(scrip.holds(account_id).holds) > 1 and monotonic() < deadline:
            sleep(0.2)
        # The lease's hold was opened later, for the same time.
        [held] = scrip.holds(account_id).holds
        assert held.hold_id == hold.hold_id
        hold.use(3)
        network.losing["capture"] = 1
    assert network.losing["capture"] == 0
    assert [line for line in ledger(scrip, account_id) if line[1]] == [("usage", -3 * CHAT)]
    account = scrip.balance(account_id)
    assert (account.held, account.available) == (0, 10_100 - 3 * CHAT)


def test_a_block_that_raises_is_not_charged_for_its_hold(
    scrip: Scrip,
    network: LossyTransport,
    open_account: Callable[[], str],
) -> None:
    account_id = open_account()
    network.losing.update(["holds", "release"])
    with pytest.raises(ModelError), scrip.hold("chat", account_id, quantity=20):
        raise ModelError
    assert not +network.losing
    account = scrip.balance(account_id)
    assert (account.held, account.available) == (0, 10_100)


@pytest.fixture
def own(stack: LocalStack, user: Api, network: LossyTransport) -> Iterator[Scrip]:
    """A client for the user's account with the user's own token."""
    http = httpx.Client(transport=network, trust_env=False)
    url = demo.details(stack).api_url
    with Scrip(url, token=user.token, retries=PATIENT, http=http) as scrip:
        yield scrip


def test_a_user_can_neither_end_the_apps_holds_nor_use_up_its_keys(
    scrip: Scrip,
    own: Scrip,
    user: Api,
) -> None:
    suffixes = ("", ".2", ".capture", ".capture.late", ".release", ".refund")
    for suffix in suffixes:
        own.consume("me", amount=1, idempotency_key=f"job{suffix}")
    for is_first in (True, False):
        with scrip.hold("chat", user.account_id, quantity=20, idempotency_key="job") as hold:
            if is_first:
                [seen] = own.holds("me").holds
                assert (seen.hold_id, seen.opened_by) == ("job", "service")
                for end in (own.capture_hold, own.extend_hold, own.release_hold):
                    with pytest.raises(HoldNotYoursError):
                        end("me", seen.hold_id)
            assert hold.is_charged is not is_first
            hold.use(3)
    account = scrip.balance(user.account_id)
    assert (account.held, account.available) == (0, 10_100 - 3 * CHAT - len(suffixes))


def test_a_users_own_token_holds_and_is_charged_once_whatever_is_lost(
    own: Scrip,
    network: LossyTransport,
) -> None:
    network.losing.update(["holds", "capture", "consume"])
    with own.hold("chat", "me", quantity=20, idempotency_key="job") as hold:
        assert hold.hold_id == "user:job"
        hold.use(3)
    with own.charge("chat", "me", idempotency_key="other") as charge:
        assert charge.entry_id == "user:other"
    assert not +network.losing
    account = own.balance("me")
    assert (account.held, account.available) == (0, 10_100 - 4 * CHAT)


def test_a_block_whose_hold_an_operator_released_is_charged_without_it(
    scrip: Scrip,
    admin: Api,
    open_account: Callable[[], str],
) -> None:
    account_id = open_account()
    with scrip.hold("chat", account_id, quantity=20) as hold:
        hold.use(3)
        assert admin.post(f"/{account_id}/holds/{hold.hold_id}/release", {}).status_code == 200
    account = scrip.balance(account_id)
    assert (account.held, account.available) == (0, 10_100 - 3 * CHAT)


def test_credentials_get_tokens_and_wrong_ones_are_refused(
    stack: LocalStack,
    credentials: ClientCredentials,
    scrip: Scrip,
    user: Api,
) -> None:
    assert scrip.balance(user.account_id).plan_id == "free"
    with pytest.raises(InsufficientCreditsError) as refused:
        scrip.consume(user.account_id, amount=20_000)
    assert refused.value.shortfall == 9_900
    assert refused.value.next_reset_at == scrip.balance(user.account_id).period.end
    wrong = ClientCredentials(
        token_url=credentials.token_url,
        client_id=credentials.client_id,
        client_secret="wrong",
    )
    http = httpx.Client(trust_env=False)
    url = demo.details(stack).api_url
    with Scrip(url, credentials=wrong, http=http) as stranger, pytest.raises(TokenError):
        stranger.balance(user.account_id)


def test_a_users_own_token_is_enough_for_their_own_account(stack: LocalStack, user: Api) -> None:
    http = httpx.Client(trust_env=False)
    url = demo.details(stack).api_url
    with Scrip(url, token=user.token, retries=PATIENT, http=http) as scrip:
        assert scrip.balance("me").account_id == user.account_id
        assert scrip.quote("me", "image-generation").cost == 25


def test_pages_of_other_origins_may_send_the_headers_that_the_api_needs(user: Api) -> None:
    asked = "authorization,content-type,idempotency-key"
    preflight = user.http.options(
        "/v1/accounts/me/consume",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked,
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert set(asked.split(",")) <= set(
        preflight.headers["Access-Control-Allow-Headers"].split(",")
    )
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"].split(",")
    answer = user.http.get("/v1/accounts/me", headers=user.headers({"Origin": "https://x.example"}))
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    exposed = answer.headers["Access-Control-Expose-Headers"].split(",")
    assert {"idempotency-replayed", "retry-after"} <= set(exposed)
