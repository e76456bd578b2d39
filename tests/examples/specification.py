"""What every app in examples/ does, in a browser and in the ledger."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from scrip_cli.local.demo import Details
    from tests.browser.conftest import NewUser
    from tests.examples.conftest import App

QUESTION = "What are you?"
SLOWLY = "Tell me slowly what you are."


def tokens(text: str | None) -> int:
    """Count as the fake model does: a token has 4 characters."""
    return -(-len(text or "") // 4)


class AnExample:
    """`target` is the make target that starts the app."""

    target: str

    def test_an_answer_is_streamed_and_charged_for_its_tokens(self, app: App) -> None:
        app.ask(QUESTION)
        expect(app.answer).to_have_text(re.compile("^I am"))
        beginning = tokens(app.answer.text_content())
        expect(app.answer).to_have_text(re.compile("what you have read.$"))
        answered = tokens(app.answer.text_content())
        assert beginning < answered

        entry = app.wait_until_charged()
        assert entry["feature"] == "openai.gpt-6.1-sol"
        assert entry["usage"] == {"input": tokens(QUESTION), "output": answered}
        assert entry["metadata"] == {"model": "gpt-6.1-sol"}
        app.shows(10_100 - entry["cost"])
        expect(app.charges).to_have_count(1)
        expect(app.charges).to_contain_text(f"{answered} output")
        expect(app.charges.locator("td").last).to_have_text(str(entry["cost"]))
        violations = Axe().run(app.page).response["violations"]
        assert not violations, violations

    def test_a_user_who_stops_an_answer_pays_for_what_was_delivered(self, app: App) -> None:
        app.ask(SLOWLY)
        expect(app.answer).to_have_text(re.compile("^I am"))
        app.page.get_by_role("button", name="Stop").click()

        entry = app.wait_until_charged()
        delivered = tokens(app.answer.text_content())
        assert delivered <= entry["usage"]["output"] <= delivered + 1
        assert entry["usage"]["input"] >= tokens(SLOWLY)
        assert entry["metadata"] == {"model": "gpt-6.1-sol", "estimated": True}
        app.shows(10_100 - entry["cost"])
        expect(app.charges.locator("td").last).to_have_text(f"{entry['cost']} (estimated)")

    def test_a_user_who_leaves_the_page_pays_for_what_was_delivered(self, app: App) -> None:
        app.ask(SLOWLY)
        expect(app.answer).to_have_text(re.compile("^I am"))
        delivered = tokens(app.answer.text_content())
        app.page.goto("about:blank")

        entry = app.wait_until_charged()
        assert delivered <= entry["usage"]["output"] <= delivered + 1
        assert entry["metadata"] == {"model": "gpt-6.1-sol", "estimated": True}

    def test_a_user_without_credits_sees_why_and_nothing_is_taken(
        self, app: App, details: Details
    ) -> None:
        app.user.api.post(
            f"/{app.user.account_id}/adjustments",
            json={"action": "set", "amount": 20, "reason": "nearly nothing"},
            headers={"Authorization": f"Bearer {details.admin_token}"},
        ).raise_for_status()
        app.ask(QUESTION)
        dialog = app.page.get_by_role("dialog", name="Not enough credits")
        expect(dialog).to_contain_text(re.compile(r"\b20\b"))
        violations = Axe().run(app.page).response["violations"]
        assert not violations, violations
        app.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(app.answer).to_be_empty()
        app.shows(20)
        assert app.user.entries("hold") == app.user.entries("usage") == []

    def test_the_token_says_who_pays(
        self, address: str, details: Details, somebody: NewUser
    ) -> None:
        def alice() -> int:
            headers = {"Authorization": f"Bearer {details.user_token}"}
            return int(somebody.api.get("/me", headers=headers).json()["consumed_total"])

        consumed = alice()
        body = {"question": QUESTION, "account_id": details.accounts["user"]}
        token = somebody.api.headers["Authorization"]
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as http:
            for forged in (None, "Bearer", token[:-9], token.replace("Bearer", "Basic")):
                headers = {"Authorization": forged} if forged else {}
                assert http.post("/answers", json=body, headers=headers).status_code == 401
            assert not somebody.entries("usage")

            answer = http.post("/answers", json=body, headers={"Authorization": token})
        [entry] = somebody.entries("usage")
        assert entry["usage"] == {"input": tokens(QUESTION), "output": tokens(answer.text)}
        assert alice() == consumed
