/**
 * The scenarios that every client plays alike: in memory, or on the stack that `scrip local env`
 * names in the environment.
 */

import {
  type Account,
  type Hold,
  type Lease,
  type Meters,
  type ProviderUsage,
  Scrip,
} from "@scrip/client";
import { expect, test } from "vitest";
import table from "../../../../scenarios.json" with { type: "json" };
import { thrown, World } from "../../../test/world.ts";

interface Line {
  use?: number | Meters;
  feature?: string;
  of?: ProviderUsage["usage_of"];
  estimated?: boolean;
  leave?: boolean;
  capture?: boolean;
  consume?: number;
  refund?: number;
  fail?: boolean;
  lose?: number;
  elsewhere?: string;
  quantity?: number;
}

interface Used {
  feature?: string;
  quantity?: number;
  amount?: number;
  usage?: object;
  usage_of?: string;
  key?: string;
  credits?: number;
  lines?: object[];
}

interface Step extends Partial<Record<"charge" | "hold" | "lease", Used>> {
  consume?: Used;
  lose?: number;
  block?: Line[];
  throws?: string;
}

interface Scenario {
  name: string;
  steps: Step[];
  amounts: number[];
  estimated?: number[];
  called?: { reference: string | null; metadata: object | null }[];
}

class ModelError extends Error {
  override name = "ModelError";
}

/** The reader of a stream has left. */
class Left extends Error {}

const { SCRIP_API_URL, SCRIP_SERVICE_TOKEN, SCRIP_ADMIN_TOKEN } = process.env;
const CREDITS = 150;

/** The real network, which loses responses. */
class LossyNetwork {
  losing = 0;

  readonly fetch = async (request: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(request, init);
    if (this.losing === 0) return response;
    this.losing -= 1;
    await response.text();
    throw new TypeError("the response was lost");
  };
}

async function openAccount(network: LossyNetwork): Promise<Account> {
  if (SCRIP_API_URL === undefined) {
    const world = new World();
    await world.renew();
    return world.account("service", { fetch: network.fetch });
  }
  const accountId = `scenario|${crypto.randomUUID()}`;
  await asAdmin("admin/accounts", { account_id: accountId });
  const set = { action: "set", amount: CREDITS, reason: "a scenario" };
  await asAdmin(`accounts/${encodeURIComponent(accountId)}/adjustments`, set);
  const retries = { deadlineSeconds: 60, trySeconds: 60 };
  const token = SCRIP_SERVICE_TOKEN ?? "";
  const scrip = new Scrip({ url: SCRIP_API_URL, token, retries, fetch: network.fetch });
  return scrip.account(accountId);
}

async function asAdmin(path: string, body: object): Promise<void> {
  const headers = {
    Authorization: `Bearer ${SCRIP_ADMIN_TOKEN}`,
    "Content-Type": "application/json",
  };
  const request = { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(`${SCRIP_API_URL}/v1/${path}`, request);
  expect(answer.status, await answer.text()).toBe(201);
}

async function play(step: Step, account: Account, network: LossyNetwork): Promise<void> {
  network.losing += step.lose ?? 0;
  if (step.consume) await account.consume(used(step.consume));
  if (step.charge) {
    await account.charge(used(step.charge), (charge) =>
      each(step, network, async ({ refund }) => {
        if (refund) await charge.refund({ amount: refund, reason: "a part" });
      }),
    );
  }
  if (step.hold) await playStream(step, await account.startHold(used(step.hold)), account, network);
  if (step.lease) await playLease(step, account.lease(leased(step.lease)), network);
}

async function playStream(
  step: Step,
  hold: Hold,
  account: Account,
  network: LossyNetwork,
): Promise<void> {
  try {
    await each(step, network, (line) => playHold(line, hold, account));
  } catch (error) {
    if (error instanceof Left) return hold.settle();
    await hold.release(String(error));
    throw error;
  }
  await hold.end();
}

async function playHold(line: Line, hold: Hold, account: Account): Promise<void> {
  if (line.of !== undefined) hold.report({ usage_of: line.of, usage: line.use as object });
  else if (line.estimated) hold.report(line.use as Meters, { estimated: true });
  else if (line.use !== undefined) hold.use(line.use, line.feature);
  if (line.capture) await hold.capture();
  if (line.elsewhere === "release") await account.releaseHold(hold.holdId);
  if (line.elsewhere === "capture") {
    await account.captureHold(hold.holdId, { quantity: line.quantity ?? null });
  }
}

async function playLease(step: Step, lease: Lease, network: LossyNetwork): Promise<void> {
  try {
    await each(step, network, async ({ consume }) => {
      if (consume) await lease.consume(consume);
    });
  } finally {
    await lease.close();
  }
}

async function each(
  step: Step,
  network: LossyNetwork,
  play: (line: Line) => Promise<void>,
): Promise<void> {
  for (const line of step.block ?? []) {
    network.losing += line.lose ?? 0;
    await play(line);
    if (line.fail) throw new ModelError();
    if (line.leave) throw new Left();
  }
}

const used = ({ key, ...use }: Used) => ({ ...use, idempotencyKey: key }) as { amount: number };

const leased = ({ credits = 0, ...options }: Used) => ({ ...options, sliceCredits: credits });

test.for(table.scenarios as Scenario[])("$name", async (scenario) => {
  const { steps, amounts, estimated = [], called } = scenario;
  const network = new LossyNetwork();
  const account = await openAccount(network);
  for (const step of steps) {
    const error = await thrown(play(step, account, network));
    expect((error as Error | undefined)?.name, String(error)).toBe(step.throws);
  }
  expect(network.losing).toBe(0);
  const moved: number[] = [];
  const marked: number[] = [];
  const kept: object[] = [];
  for await (const { type, amount, reference, metadata } of account.entries()) {
    if (["usage", "refund"].includes(type)) moved.unshift(amount);
    if (amount !== 0 && type === "usage") kept.unshift({ reference, metadata });
    if (amount !== 0 && metadata?.["estimated"]) marked.unshift(amount);
  }
  expect(moved.filter((amount) => amount !== 0)).toEqual(amounts);
  expect(marked).toEqual(estimated);
  if (called) expect(kept).toEqual(called);
  const { available, held } = await account.balance();
  expect({ available, held }).toEqual({
    available: CREDITS + amounts.reduce((total, amount) => total + amount, 0),
    held: 0,
  });
});
