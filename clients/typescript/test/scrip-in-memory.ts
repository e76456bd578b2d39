/** Runs Scrip's real rules in memory behind a real HTTP server, while the tests run. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    scripUrl: string;
  }
}

export default async function start(project: TestProject): Promise<() => void> {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const server = spawn(`${root}/.venv/bin/python`, ["-m", "tests.unit.clients.scrip_over_http"], {
    cwd: root,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const address = await new Promise<string>((resolve, reject) => {
    server.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()));
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`Scrip in memory ended with ${code}`)));
  });
  project.provide("scripUrl", address);
  return () => void server.kill();
}
