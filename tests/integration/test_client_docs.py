"""The examples in docs/reference/python-client.md and docs/how-to/hold-credits.md work."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from scrip_cli.local import demo
from scrip_client import AsyncScrip, Scrip
from tests.documentation import examples
from tests.event_loops import run
from tests.integration.test_client import PATIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

ROOT = Path(__file__).parents[2]
PAGE = "docs/reference/python-client.md"
EXAMPLES = examples(PAGE, "python")
GUIDE = examples("docs/how-to/hold-credits.md", "python")
IMAGE, CHAT, PAGE_WRITTEN, SECOND = 25, 5, 10, 10


class ModelError(Exception):
    """An error in the app's own work."""


@dataclass
class User:
    id: str


@dataclass
class Job:
    id: int
    account_id: str
    prompt: str


@dataclass
class Answer:
    is_error: bool


def draw(prompt: str) -> bytes:
    if prompt == "impossible":
        raise ModelError
    return prompt.encode()


async def draw_async(prompt: str) -> bytes:
    return draw(prompt)


@pytest.fixture
def shown(
    stack: LocalStack,
    user: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, Any]]:
    """All names that the pages' examples define, run in their order as one program."""
    for name, value in {**demo.details(stack).variables, "NO_PROXY": "*"}.items():
        monkeypatch.setenv(name, value)
    # A local function can take longer to start than the page's clients would wait.
    for make in (Scrip.from_env, AsyncScrip.from_env):
        defaults = make.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "retries", PATIENT)
    names: dict[str, Any] = {
        "account_id": user.account_id,
        "draw": draw,
        "draw_async": draw_async,
        "is_blurred": lambda image: image == b"fog",
        "send": bytes,
        "team_id": user.account_id,
        "think_about": lambda question: f"{question}!",
        "write_pages": lambda topic, pages_max: [draw(topic)] * min(3, pages_max),
        "synthesize": lambda text: [letter.encode() for letter in text],
        "ask_for_image": lambda prompt: Answer(is_error=prompt == "impossible"),
        "Answer": Answer,
        "Job": Job,
        "User": User,
    }
    for example in EXAMPLES + GUIDE:
        exec(example, names)
    yield names
    names["scrip"].close()


def ledger(user: Api) -> list[int]:
    """Return the charged and refunded amounts, oldest first."""
    return [entry["amount"] for entry in user.get("/me/entries").json()["entries"][::-1][2:]]


def spend_all_but(credits_left: int, user: Api, admin: Api) -> None:
    body = {"action": "set", "amount": credits_left, "reason": "a test"}
    assert admin.post(f"/{user.account_id}/adjustments", body).status_code == 201


def test_the_functions_of_the_page_charge_and_refund(shown: dict[str, Any], user: Api) -> None:
    assert shown["create_image"](user.account_id, "a cat") == b"a cat"
    with pytest.raises(ModelError):
        shown["create_image"](user.account_id, "impossible")
    assert shown["create_images"](user.account_id, "fog") == []
    assert shown["create_images"](user.account_id, "a cat") == [b"a cat", b"a cat"]
    assert shown["create_remotely"](user.account_id, "impossible").is_error
    assert not shown["create_remotely"](user.account_id, "a cat").is_error
    assert shown["reply"](User(user.account_id), "why") == "why!"
    assert shown["count_message"](user.account_id) == "5 credits, 9990 are left"
    images = [-IMAGE, -IMAGE, IMAGE, -2 * IMAGE, 2 * IMAGE, -2 * IMAGE, -IMAGE, IMAGE, -IMAGE]
    assert ledger(user) == [*images, -CHAT, -CHAT]


def test_the_job_of_the_page_is_charged_again_after_a_refund(
    shown: dict[str, Any],
    user: Api,
) -> None:
    with pytest.raises(ModelError):
        shown["handle"](Job(7, user.account_id, "impossible"))
    for _ in range(2):
        shown["handle"](Job(7, user.account_id, "a cat"))
    assert ledger(user) == [-IMAGE, IMAGE, -IMAGE]


def test_the_holds_of_the_pages_charge_for_the_actual_use(shown: dict[str, Any], user: Api) -> None:
    for write in (shown["write_document"], shown["write_report"]):
        assert len(write(user.account_id, "a cat")) == 3
        with pytest.raises(ModelError):
            write(user.account_id, "impossible")
    speech = shown["speak"](user.account_id, "hello")
    assert [next(speech), next(speech)] == [b"h", b"e"]
    speech.close()
    assert shown["run_agent"](user.account_id, "a cat") == "done"
    speech_and_run = [-2 * SECOND, -3 * CHAT, -PAGE_WRITTEN]
    assert [amount for amount in ledger(user) if amount] == [-3 * PAGE_WRITTEN] * 2 + speech_and_run
    assert user.get("/me").json()["held"] == 0


def test_the_leases_of_the_pages_charge_many_uses_together(
    shown: dict[str, Any],
    user: Api,
) -> None:
    assert shown["answer_all"](user.account_id, ["why", "how"]) == ["why!", "how!"]
    for question in ("why", "how", "when"):
        assert shown["answer_member"](question) == f"{question}!"
    shown["lease"].close()
    assert [amount for amount in ledger(user) if amount] == [-2 * CHAT, -3 * CHAT]
    assert shown["prices"]["chat"] == CHAT
    assert shown["count_messages"](user.account_id, 3) == 10_100 - 8 * CHAT


def test_the_function_of_the_page_reports_missing_credits(
    shown: dict[str, Any], user: Api, admin: Api
) -> None:
    message = shown["try_to_create"](user.account_id, "a cat")
    assert message == "there it is"
    spend_all_but(20, user, admin)
    assert "5 credits are missing until " in shown["try_to_create"](user.account_id, "a cat")


def ask(shown: dict[str, Any], user: Api, name: str, method: str, path: str) -> httpx.Response:
    """Start an application of the page, send it a user's request, and stop it."""

    async def behind_a_session(scope: Any, receive: Any, send: Any) -> None:
        await shown[name]({**scope, "state": {"account_id": user.account_id}}, receive, send)

    async def session() -> httpx.Response:
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(behind_a_session),
            base_url="http://app",
            headers={"X-User": user.account_id},
        )
        async with shown["app"].router.lifespan_context(shown["app"]), http:
            return await http.request(method, path)

    return run(session())


def test_the_async_function_charges_and_refunds(shown: dict[str, Any], user: Api) -> None:
    async def session() -> None:
        async with shown["client"] as scrip:
            await shown["create_image_async"](scrip, user.account_id, "a cat")
            with pytest.raises(ModelError):
                await shown["create_image_async"](scrip, user.account_id, "impossible")

    run(session())
    assert ledger(user) == [-IMAGE, -IMAGE, IMAGE]


def test_the_fastapi_app_charges_and_returns_the_remaining_credits(
    shown: dict[str, Any], user: Api
) -> None:
    answer = ask(shown, user, "app", "POST", "/images?prompt=a+cat")
    assert (answer.status_code, answer.json()) == (200, {"credits_left": 10_075})
    assert ledger(user) == [-IMAGE]


def test_the_fastapi_app_charges_a_stream_for_what_it_counted(
    shown: dict[str, Any], user: Api
) -> None:
    answer = ask(shown, user, "app", "POST", "/speech?text=hello")
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert [amount for amount in ledger(user) if amount] == [-5 * SECOND]


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("app", "POST", "/images?prompt=a+cat"),
        ("app", "POST", "/speech?text=hello"),
        ("application", "GET", "/"),
    ],
)
def test_both_applications_answer_402_to_a_user_without_credits(
    shown: dict[str, Any],
    user: Api,
    admin: Api,
    name: str,
    method: str,
    path: str,
) -> None:
    spend_all_but(20, user, admin)
    answer = ask(shown, user, name, method, path)
    assert (answer.status_code, answer.json()["available"]) == (402, 20)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_plain_application_charges(shown: dict[str, Any], user: Api) -> None:
    answer = ask(shown, user, "application", "GET", "/")
    assert (answer.status_code, answer.content) == (200, b"a cat")
    assert ledger(user) == [-IMAGE]


def test_the_wheel_is_typed_and_needs_only_httpx(tmp_path: Path) -> None:
    [command] = re.findall(r"^uv build .*$", (ROOT / PAGE).read_text(), re.MULTILINE)
    words = command.replace("--out-dir dist", f"--out-dir {tmp_path}").split()
    uv = Path(sys.executable).parent / words[0]
    subprocess.run([uv, *words[1:], "--offline"], cwd=ROOT, capture_output=True, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        assert "scrip_client/py.typed" in files.namelist()
        [metadata] = [name for name in files.namelist() if name.endswith("METADATA")]
        lines = files.read(metadata).decode().splitlines()
    needs = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")]
    assert [need for need in needs if "extra ==" not in need] == ["httpx>=0.28,<1"]
