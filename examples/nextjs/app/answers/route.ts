/** Streams a model's answers, and charges the users for the tokens of each. */

import { openai } from "@ai-sdk/openai";
import { clientFor, type Hold, problemResponse, Scrip, UnauthorizedError } from "@scrip/client";
import { meteredStream } from "@scrip/client/ai";
import { heldRoute } from "@scrip/client/next";
import { streamText } from "ai";
import { after } from "next/server";

const ANSWER_TOKENS = 500;

let scrip: Scrip | undefined;

/** Answer a question. A user without credits gets a 402 before the model is asked. */
export function POST(request: Request): Promise<Response> {
  // Not when this file is imported: `next build` does that, too, without the credentials.
  scrip ??= Scrip.fromEnv();
  const options = { scrip, accountId: signedIn, use: most, waitUntil: after };
  return heldRoute(options, answer)(request, undefined);
}

/** Return the account of the user whose token this is. Scrip verifies the token. */
async function signedIn(request: Request): Promise<string | Response> {
  const [, token] = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
  if (!token) return signInAgain();
  try {
    const account = await clientFor({ url: process.env.SCRIP_API_URL!, token }).balance();
    return account.account_id;
  } catch (error) {
    if (error instanceof UnauthorizedError) return signInAgain();
    return problemResponse(error) ?? Promise.reject(error);
  }
}

function signInAgain(): Response {
  return Response.json({ detail: "Sign in again: your token is not valid." }, { status: 401 });
}

/** The most that the answer can use: a token has at least one byte. */
async function most(request: Request) {
  const { byteLength } = await request.clone().arrayBuffer();
  return {
    feature: "openai.gpt-6.1-sol",
    usage: { input: byteLength + 10, output: ANSWER_TOKENS },
  };
}

async function answer(request: Request, hold: Hold): Promise<Response> {
  const { question } = (await request.json()) as { question: unknown };
  const settings = {
    model: openai.chat("gpt-6.1-sol"), // It reads OPENAI_BASE_URL and OPENAI_API_KEY.
    prompt: String(question), // A list would be messages, with files to load from anywhere.
    maxOutputTokens: ANSWER_TOKENS,
    abortSignal: request.signal, // If the user leaves, the model stops.
  };
  return streamText(meteredStream(hold, settings)).toTextStreamResponse();
}
