"""The documentation's TypeScript, and the API's samples, have the types of the npm packages."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.documentation import examples
from tests.typescript.test_code_samples import SAMPLED

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [
    "README.md",
    "docs/reference/typescript-client.md",
    "docs/how-to/show-credits-in-a-browser.md",
    "clients/typescript/packages/client/README.md",
    "clients/typescript/packages/react/README.md",
]

APP = """\
import type { LanguageModel } from "ai";

declare global {
  const apiUrl: string, tokenUrl: string, clientId: string, clientSecret: string, url: string;
  const accountId: string, userId: string, topic: string, model: LanguageModel;
  const openai: { chat: { completions: { create(body: object): Promise<Completion> } } };
  interface Completion { text: string; usage: { prompt_tokens: number; completion_tokens: number } }
  const logger: { warn(message: string, error: unknown): void };
  const getToken: () => Promise<string>, getAccessToken: () => Promise<string>;
  function draw(prompt: string): Promise<Blob>;
  function draw(): Promise<Blob>;
  function isBlurred(image: Blob): boolean;
  function render(prompt: string, events: object): void;
  function send(image: Blob): Promise<void>;
  function signedIn(request: Request): Promise<string | null>;
  function synthesize(text: string): ReadableStream<Uint8Array>;
  function think(question: string): Promise<string>;
  function writePages(topic: string): Promise<string[]>;
}
"""
"""What an app has beside the examples."""


def test_the_examples_have_the_packages_types(workspace: Path) -> None:
    folder = workspace / "node_modules/.examples"
    folder.mkdir(exist_ok=True)
    (folder / "app.d.ts").write_text(APP)
    files = ["app.d.ts"]
    for number, page in enumerate(PAGES):
        shown = examples(page, "ts") + examples(page, "tsx")
        assert shown, page
        files.append(f"page-{number}.tsx")
        (folder / files[-1]).write_text("\n".join(shown))
    for number, samples in enumerate(SAMPLED.values()):
        files.append(f"sample-{number}.ts")
        (folder / files[-1]).write_text(f"{samples['TypeScript']}\nexport {{}};\n")
    unused = {"noUnusedLocals": False, "noPropertyAccessFromIndexSignature": False}
    config = {"extends": "../../tsconfig.json", "compilerOptions": unused, "include": []}
    (folder / "tsconfig.json").write_text(json.dumps({**config, "files": files}))
    tsc = ["node", "../typescript/bin/tsc", "--project", "."]
    checked = subprocess.run(tsc, cwd=folder, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
