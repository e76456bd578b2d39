/**
 * The API's requests and answers, as the OpenAPI document has them.
 *
 * Credits are whole numbers, instants are ISO 8601 in UTC. A newer Scrip may add fields and values.
 */

import type { components } from "./openapi.js";

export type Schemas = components["schemas"];

export type Account = Schemas["AccountAnswer"];
export type Balance = Schemas["AccountSummary"];
export type Catalog = Schemas["CatalogAnswer"];
export type Feature = Schemas["PublicFeature"];
export type Plan = Schemas["PublicPlan"];
export type Entry = Schemas["EntryAnswer"];
export type OneEntry = Schemas["OneEntryAnswer"];
export type Held = Schemas["HeldAnswer"];
export type HoldState = Schemas["ExtendedAnswer"];
export type Statement = Schemas["StatementAnswer"];
export type Quote = Schemas["QuoteAnswer"];
export type Usage = Schemas["UsageAnswer"];
export type Upcoming = Schemas["UpcomingAnswer"];

/** `replayed`: an earlier request with the same idempotency key wrote the entry. */
export interface Replayable {
  readonly replayed: boolean;
}

export type Posting = Schemas["PostedAnswer"] & Replayable;
export type HoldPosting = Schemas["HoldAnswer"] & Replayable;
export type Batch = Schemas["BatchAnswer"] & Replayable;

/** The idempotency key of a request: 1 to 128 of `A-Z a-z 0-9 . _ -`. A new one by default. */
export interface Keyed {
  idempotencyKey?: string | undefined;
}

export type Use = Schemas["ConsumeRequest"];
export type HoldUse = Schemas["HoldRequest"];

export interface EntriesQuery {
  type?: Schemas["EntryType"];
  feature?: string;
  reference?: string;
  /** Inclusive. */
  from?: Date;
  /** Exclusive. */
  to?: Date;
}

export interface StatementQuery {
  /** Inclusive. By default, 30 days before `to`. */
  from?: Date;
  /** Exclusive. Now by default. */
  to?: Date;
  group_by?: "day" | "feature" | "model" | "reference";
}

export interface UsageQuery {
  from?: Date;
  to?: Date;
  group_by?:
    | "day,feature"
    | "day"
    | "feature"
    | "model"
    | "day,model"
    | "reference"
    | "day,reference"
    | "total";
  reference?: string;
  /** Of the page before, by day and reference. */
  cursor?: string;
}
