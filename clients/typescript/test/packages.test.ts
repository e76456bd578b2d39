/** What `npm publish` would upload: everything that a package's users need, and nothing else. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const packages = fileURLToPath(new URL("../packages", import.meta.url));
const names = readdirSync(packages);
const app = mkdtempSync(join(tmpdir(), "scrip-packages-"));

interface Manifest {
  name: string;
  exports: Record<string, string | { types: string; default: string }>;
  dependencies?: Record<string, string>;
}

const installed = (name: string, file = "") => join(app, "node_modules/@scrip", name, file);
const manifest = (name: string) =>
  JSON.parse(readFileSync(installed(name, "package.json"), "utf8")) as Manifest;

beforeAll(() => {
  for (const name of names) {
    const pack = ["pack", join(packages, name), "--pack-destination", app, "--silent"];
    const archive = execFileSync("npm", pack, { cwd: app }).toString().trim();
    execFileSync("mkdir", ["-p", installed(name)]);
    execFileSync("tar", ["-xzf", archive, "-C", installed(name), "--strip-components=1"], {
      cwd: app,
    });
  }
});

afterAll(() => rmSync(app, { recursive: true }));

test.for(names)("%s has its licence, its README, and every file that it exports", (name) => {
  expect(readdirSync(installed(name)).sort()).toEqual([
    "LICENSE",
    "README.md",
    "dist",
    "package.json",
  ]);
  for (const target of Object.values(manifest(name).exports)) {
    const files = typeof target === "string" ? [target] : Object.values(target);
    for (const file of files) expect(existsSync(installed(name, file)), file).toBe(true);
  }
});

test("the client needs nothing else, and can be imported from its package", () => {
  expect(manifest("client").dependencies).toBeUndefined();
  const program = `
    import { Scrip, UnavailableError } from "@scrip/client";
    const retries = { triesMax: 1 };
    const scrip = new Scrip({ url: "http://127.0.0.1:1", token: "t", retries });
    await scrip.catalog().catch((error) => console.log(error instanceof UnavailableError));
  `;
  const run = ["--input-type=module", "--eval", program];
  expect(execFileSync(process.execPath, run, { cwd: app }).toString().trim()).toBe("true");
});
