// @vitest-environment edge-runtime

import { heldRoute } from "@scrip/client/next";
import { expect, test } from "vitest";
import { World } from "../../../test/world.ts";

test("an edge runtime, which has nothing of Node's, charges as well", async () => {
  expect(Reflect.has(globalThis, "EdgeRuntime")).toBe(true);
  const here = new World();
  await here.failNext("answer lost");
  const longKey = { idempotencyKey: "k".repeat(128) };
  await here.account().charge({ feature: "chat", ...longKey }, () => "done");
  const use = { feature: "chat", quantity: 20 };
  const options = { scrip: here.scrip(), accountId: () => "u1", use, count: () => 1 };
  const route = heldRoute(options, () => new Response("done"));
  expect(await (await route(new Request("https://app.example"), {})).text()).toBe("done");
  expect(await here.amounts()).toEqual([-5, -5]);
});
