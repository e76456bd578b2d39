"use client";

import { type Meters, priceOf, Scrip, type Token } from "@scrip/client";
import { createContext, type ReactNode, useContext, useMemo, useSyncExternalStore } from "react";
import { CreditsStore, type Known, UNKNOWN } from "./store.js";

const StoreContext = createContext<CreditsStore | undefined>(undefined);

export interface ScripProviderProps {
  /** The API's address: the stack's output `ApiUrl`. */
  url: string;
  /**
   * Gives the signed-in user's access token. It must stay the same function between renders, and
   * be another one for another user.
   */
  getToken: Exclude<Token, string>;
  children?: ReactNode;
}

/** Gives the signed-in user's credits to every component in it. */
export function ScripProvider({ url, getToken, children }: ScripProviderProps): ReactNode {
  const store = useMemo(
    () => new CreditsStore(new Scrip({ url, token: getToken })),
    [url, getToken],
  );
  return <StoreContext.Provider value={store}>{children}</StoreContext.Provider>;
}

export interface Credits extends Known {
  /** Credits of the account, held ones included; undefined until known. */
  readonly balance: number | undefined;
  /** Credits that can be spent; undefined until known. */
  readonly available: number | undefined;
  /** What a use of units or meters costs: undefined until known, or if it has no price. */
  getCost(feature: string, used?: number | Meters): number | undefined;
  /** Whether there are certainly enough credits for a use. The server decides in the end. */
  canPerform(feature: string, used?: number | Meters): boolean;
  /** `fetch` for what costs credits: reads the balance afterwards, and keeps what a 402 says. */
  spend(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Read the balance now, such as when a streamed answer has ended. */
  refresh(): Promise<void>;
  /** Forget the last 402. */
  dismiss(): void;
}

/**
 * The signed-in user's credits.
 *
 * @throws {Error} there is no `ScripProvider` around the component.
 */
export function useCredits(): Credits {
  const store = useContext(StoreContext);
  if (store === undefined) throw new Error("useCredits needs a <ScripProvider> around it");
  const known = useSyncExternalStore(store.subscribe, store.known, () => UNKNOWN);
  return useMemo(() => creditsOf(known, store), [known, store]);
}

function creditsOf(known: Known, store: CreditsStore): Credits {
  const { account, catalog } = known;
  const getCost = (feature: string, used: number | Meters = 1) => {
    const found = catalog?.features.find(({ feature_id }) => feature_id === feature);
    return found && priceOf(found, used);
  };
  const canPerform = (feature: string, used: number | Meters = 1) => {
    const cost = getCost(feature, used);
    if (account === undefined || cost === undefined || account.status !== "active") return false;
    return account.unlimited || cost <= account.available;
  };
  const { spend, refresh, dismiss } = store;
  const { balance, available } = account ?? {};
  return { ...known, balance, available, getCost, canPerform, spend, refresh, dismiss };
}
