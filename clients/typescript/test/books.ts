/** What a test can see and change of a world of Scrip in memory, beside the API. */

export type Fault =
  | "none"
  | "request lost"
  | "answer lost"
  | "proxy"
  | "busy"
  | "busy for long"
  | "unauthorized"
  | "nonsense"
  | "another account";

export interface Orders {
  /** What happens to the next requests, one after the other. */
  faults?: readonly Fault[];
  /** Seconds that go by. */
  wait?: number;
  /** Whether the catalog is that of a new deployment from now on. */
  new?: boolean;
  /** A feature whose tokens cost a credit each from now on; the account gets 10 000. */
  tokens?: string;
}

/** `ledger`: types and amounts since the account was opened, oldest first. */
export interface Books {
  ledger: [string, number][];
  uses: { cost: number; usage: Record<string, number>; metadata: object | null }[];
  keys: string[];
  metadata: Record<string, unknown> | null;
  available: number;
  held: number;
  /** How many faults have hit nothing yet. */
  faults: number;
}

/** Give orders to a world, and read its books. */
export async function order(url: string, orders: Orders): Promise<Books> {
  const body = JSON.stringify(orders);
  const answer = await fetch(`${url}/world`, { method: "POST", body });
  return (await answer.json()) as Books;
}
