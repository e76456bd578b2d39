import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(`packages/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    // The tests of each package run its sources, and what it needs of the other one.
    alias: [
      { find: /^@scrip\/client$/, replacement: source("client/src/index.ts") },
      { find: /^@scrip\/client\/(.*)$/, replacement: source("client/src/$1.ts") },
      { find: /^@scrip\/react$/, replacement: source("react/src/index.ts") },
    ],
  },
  test: {
    include: ["{test,packages/*/test}/**/*.test.{ts,tsx}"],
    globalSetup: "test/scrip-in-memory.ts",
    testTimeout: 20_000,
    // Tests wait more than they compute, also on two cores.
    maxWorkers: 2,
  },
});
