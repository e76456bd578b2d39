import { readFileSync } from "node:fs";
import * as client from "@scrip/client";
import { expect, test } from "vitest";

const python = readFileSync(
  new URL("../../../../python/src/scrip_client/errors.py", import.meta.url),
  "utf8",
);

test("every error of the Python client has the same name, parent and codes here", () => {
  const classes = [...python.matchAll(/^class (\w+)\((\w+)\):\n([\s\S]*?)(?=^\S)/gm)];
  expect(classes.length).toBeGreaterThan(30);
  for (const [, name = "", parent = "", body = ""] of classes) {
    const error = (client as unknown as Record<string, { codes?: string[] }>)[name];
    expect(error, name).toBeDefined();
    const expected = parent === "Exception" ? "Error" : parent;
    expect((Object.getPrototypeOf(error) as { name: string }).name).toBe(expected);
    const [, list] = /CODES = frozenset\(\s*\{([^}]*)\}/.exec(body) ?? [];
    const codes = list?.match(/\w+/g);
    if (codes) expect(error?.codes).toEqual(codes);
  }
});
