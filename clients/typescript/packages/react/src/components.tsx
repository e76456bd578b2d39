"use client";

import { type ReactNode, useEffect, useId, useRef } from "react";
import { useCredits } from "./provider.js";

export interface ClassName {
  className?: string;
}

/** How many credits can be spent, in the page's language; screen readers hear of changes. */
export function Balance({ className }: ClassName): ReactNode {
  const { account } = useCredits();
  let text = "…";
  if (account) text = account.unlimited ? "Unlimited" : `${shown(account.available)} credits`;
  return (
    <span className={className} aria-live="polite">
      {text}
    </span>
  );
}

/** How much of the period's credits is used. */
export function UsageMeter({ className }: ClassName): ReactNode {
  const { account } = useCredits();
  const id = useId();
  if (account === undefined) return null;
  const { used, available, unlimited } = account;
  const all = used + available;
  return (
    <div className={className}>
      <span id={id}>
        {unlimited ? `${shown(used)} credits used` : `${shown(used)} of ${shown(all)} credits used`}
      </span>
      {!unlimited && <meter aria-labelledby={id} min={0} max={Math.max(all, 1)} value={used} />}
    </div>
  );
}

/**
 * A dialog that opens when `spend` is answered with 402: what is missing, and when more arrive.
 *
 * It keeps the focus, closes on Escape, and gives the focus back.
 */
export function OutOfCredits({ className }: ClassName): ReactNode {
  const { shortage, dismiss } = useCredits();
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    if (shortage) dialog.current?.showModal();
    else dialog.current?.close();
  }, [shortage]);
  return (
    <dialog ref={dialog} className={className} aria-labelledby={id} onClose={dismiss}>
      <h2 id={id}>Not enough credits</h2>
      {shortage && (
        <>
          <p>
            This needs {shown(shortage.required)} credits, and you have {shown(shortage.available)}.
          </p>
          <p>
            More arrive on{" "}
            <time dateTime={shortage.next_reset_at}>
              {new Date(shortage.next_reset_at).toLocaleDateString()}
            </time>
            .
          </p>
          {shortage.top_up_url && (
            <p>
              <a href={shortage.top_up_url}>Get more now</a>
            </p>
          )}
          {shortage.credits_url && (
            <p>
              <a href={shortage.credits_url}>See your credits</a>
            </p>
          )}
        </>
      )}
      <form method="dialog">
        <button>Close</button>
      </form>
    </dialog>
  );
}

const shown = (credits: number) => credits.toLocaleString();
