/** Runs Scrip's real rules in memory, and a fake provider, behind real HTTP servers. */

import { spawn } from "node:child_process";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    scripUrl: string;
    providerUrl: string;
  }
}

export interface Servers {
  scripUrl: string;
  providerUrl: string;
  stop: () => void;
}

export async function startServers(root: string): Promise<Servers> {
  const scrip = await start(root, "scrip_over_http");
  const provider = await start(root, "fake_provider");
  const stop = () => {
    scrip.stop();
    provider.stop();
  };
  return { scripUrl: scrip.url, providerUrl: provider.url, stop };
}

/** Start a server of the Python tests, which prints its address. */
async function start(root: string, module: string): Promise<{ url: string; stop: () => void }> {
  const python = ["-m", `tests.unit.clients.${module}`];
  const server = spawn(`${root}/.venv/bin/python`, python, {
    cwd: root,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    server.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()));
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`${module} ended with ${code}`)));
  });
  return { url, stop: () => void server.kill() };
}

export default async function setUp(project: TestProject): Promise<() => void> {
  const { stop, ...urls } = await startServers(`${import.meta.dirname}/../../..`);
  project.provide("scripUrl", urls.scripUrl);
  project.provide("providerUrl", urls.providerUrl);
  return stop;
}
