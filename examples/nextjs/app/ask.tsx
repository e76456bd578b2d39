"use client";

import { Balance, UsageMeter, useCredits } from "@scrip/react";
import { type FormEvent, useEffect, useRef, useState } from "react";

/** Show answers as they come. The back end has charged for one when it ends. */
export function Ask({ token }: { token: string }) {
  const { account, refresh, spend } = useCredits();
  const [answer, setAnswer] = useState("");
  const [isAsking, setIsAsking] = useState(false);
  const stopping = useRef<AbortController>(undefined);

  const ask = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { signal } = (stopping.current = new AbortController());
    setAnswer("");
    setIsAsking(true);
    try {
      const response = await spend("/answers", {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify(Object.fromEntries(new FormData(event.currentTarget))),
        signal,
      });
      if (response.ok) await showStream(response.body!);
      else if (response.status !== 402) setAnswer((await response.json()).detail);
    } catch (error) {
      if (!signal.aborted) setAnswer(`The answer broke off: ${error}`);
    }
    setIsAsking(false);
    await refresh();
  };

  const showStream = async (body: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      setAnswer((shown) => shown + value);
    }
  };

  // An answer that was left is charged a moment later; until then its credits are held.
  useEffect(() => {
    if (isAsking || !account?.held) return;
    const timer = setTimeout(refresh, 1000);
    return () => clearTimeout(timer);
  }, [account, isAsking, refresh]);

  return (
    <>
      <p>
        You have{" "}
        <strong>
          <Balance />
        </strong>
        .
      </p>
      <UsageMeter />
      <form onSubmit={ask}>
        <label>
          Question
          <input name="question" placeholder="Tell me slowly what you are" required />
        </label>
        <button disabled={isAsking}>Ask</button>
        {/* Leave the answer: the connection closes, and the back end charges for what was delivered. */}
        <button type="button" disabled={!isAsking} onClick={() => stopping.current?.abort()}>
          Stop
        </button>
      </form>
      <p role="status" aria-label="Answer">
        {answer}
      </p>
    </>
  );
}
