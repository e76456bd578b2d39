// @vitest-environment jsdom

import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  Balance,
  type Credits,
  OutOfCredits,
  ScripProvider,
  UsageMeter,
  useCredits,
} from "@scrip/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

let credits: Credits;
let available: number;
let answers: (() => void)[];
let isHeld: boolean;
let pages: { top_up_url: string | null; credits_url: string | null };
let api: Server;
let url: string;

const getToken = () => "user";

const features = [
  { feature_id: "chat", cost: 5, per: 1, meters: {} },
  { feature_id: "tokens", cost: 3, per: 1000, meters: {} },
  {
    feature_id: "model",
    cost: null,
    per: 1,
    meters: { input: { cost: 1, per: 4000 }, output: { cost: 1, per: 500 } },
  },
];

const shortage = {
  code: "insufficient_credits",
  required: 28,
  available: 25,
  shortfall: 3,
  next_reset_at: "2026-12-01T00:00:00Z",
};

// jsdom has no dialogs that open and close.
Object.assign(HTMLDialogElement.prototype, {
  showModal(this: HTMLDialogElement) {
    this.open = true;
  },
  close(this: HTMLDialogElement) {
    this.open = false;
  },
});

/** An API that answers the balance of when it was asked, at once or when a test lets it. */
beforeEach(async () => {
  available = 100;
  answers = [];
  isHeld = false;
  pages = { top_up_url: null, credits_url: null };
  api = createServer((request, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (request.url === "/v1/catalog") return answer(200, { features, plans: [] });
    if (request.url === "/images") return answer(402, { ...shortage, ...pages });
    const account = { account_id: "u1", status: "active", unlimited: false, used: 25 };
    const now = { ...account, balance: available + 10, available };
    if (isHeld) answers.push(() => answer(200, now));
    else answer(available < 0 ? 403 : 200, now);
  });
  await new Promise<void>((done) => api.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  api.closeAllConnections();
  api.close();
});

function Spy() {
  credits = useCredits();
  return null;
}

async function show() {
  const shown = render(
    <ScripProvider url={url} getToken={getToken}>
      <Spy />
      <Balance />
      <UsageMeter />
      <OutOfCredits />
    </ScripProvider>,
  );
  await screen.findByText("100 credits");
  return shown;
}

test("the balance is shown once it is known", async () => {
  await show();
  expect(credits).toMatchObject({ balance: 110, available: 100 });
  expect(screen.getByText("25 of 125 credits used")).toBeTruthy();
  expect(screen.getByRole("meter", { name: "25 of 125 credits used" })).toBeTruthy();
});

test("what a use costs is rounded up, and allowed if there is enough", async () => {
  await show();
  expect(credits.getCost("chat", 2)).toBe(10);
  expect(credits.getCost("tokens", 1001)).toBe(4);
  expect(credits.getCost("model", { input: 1200, output: 350 })).toBe(1);
  expect(credits.getCost("model", { input: 1201, output: 350 })).toBe(2);
  expect(credits.getCost("model", { input: 1, images: 1 })).toBeUndefined();
  expect(credits.getCost("model")).toBeUndefined();
  expect(credits.getCost("nothing")).toBeUndefined();
  expect(credits.canPerform("chat", 20)).toBe(true);
  expect(credits.canPerform("chat", 21)).toBe(false);
  expect(credits.canPerform("nothing")).toBe(false);
});

test("the balance is read after spend, and a 402 is kept until it is dismissed", async () => {
  await show();
  available = 75;
  const answer = await credits.spend(`${url}/images`, { method: "POST" });
  expect(answer.status).toBe(402);
  expect(await answer.json()).toMatchObject({ shortfall: 3 });
  await screen.findByText("75 credits");
  expect(credits.shortage).toMatchObject({ shortfall: 3 });
  credits.dismiss();
  await waitFor(() => expect(credits.shortage).toBeUndefined());
});

test("the dialog leads to where more are, and to where the credits went, if there are such pages", async () => {
  await show();
  await credits.spend(`${url}/images`);
  await screen.findByText("This needs 28 credits, and you have 25.");
  expect(screen.queryAllByRole("link")).toEqual([]);
  pages = { top_up_url: "https://app.example/buy", credits_url: "https://credits.example/me" };
  await credits.spend(`${url}/images`);
  const more = await screen.findByRole("link", { name: "Get more now" });
  expect(more.getAttribute("href")).toBe(pages.top_up_url);
  const mine = screen.getByRole("link", { name: "See your credits" });
  expect(mine.getAttribute("href")).toBe(pages.credits_url);
});

test("the balance is read when the page is looked at again, and every 30 seconds", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  await show();
  available = 75;
  window.dispatchEvent(new Event("focus"));
  await screen.findByText("75 credits");
  available = 50;
  vi.advanceTimersByTime(30_000);
  await screen.findByText("50 credits");
});

test("an answer that was asked for earlier never replaces a later one", async () => {
  await show();
  isHeld = true;
  available = 75;
  void credits.refresh();
  await waitFor(() => expect(answers).toHaveLength(1));
  available = 50;
  void credits.refresh();
  await waitFor(() => expect(answers).toHaveLength(2));
  const [earlier, later] = answers;
  later?.();
  await screen.findByText("50 credits");
  earlier?.();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(screen.getByText("50 credits")).toBeTruthy();
});

test("a balance that cannot be read stays as it was known", async () => {
  await show();
  available = -1;
  await credits.refresh();
  await waitFor(() => expect(credits.error?.name).toBe("ForbiddenError"));
  expect(screen.getByText("100 credits")).toBeTruthy();
});

test("nothing is known of another user", async () => {
  const { rerender } = await show();
  isHeld = true;
  rerender(
    <ScripProvider url={url} getToken={() => "another"}>
      <Spy />
    </ScripProvider>,
  );
  expect(credits.account).toBeUndefined();
});

test("a hook without its provider says what is missing", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect(() => render(<Spy />)).toThrow("needs a <ScripProvider>");
});
