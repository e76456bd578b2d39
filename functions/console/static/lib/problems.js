// What is wrong with a stack, and what to do about it, in words.

import { words } from "./format.js";

const PROBLEMS = {
  unreadable_item: [
    "A plan or feature is unreadable",
    "Someone edited it in the table. The catalog leaves it out until it's corrected there.",
  ],
  default_plan_missing: [
    "The plan for new accounts is missing from the catalog",
    "Nobody can sign up. Create the plan in the catalog, or set DefaultPlan to another one.",
  ],
  default_plan_inactive: [
    "The plan for new accounts is inactive",
    "Activate it in the catalog, or set DefaultPlan to another one.",
  ],
  provider_id_on_two_plans: [
    "Two plans share a provider ID",
    "Payments go to the plan whose own ID sorts first. Remove the provider ID from the other plan.",
  ],
  feature_missing: [
    "A required feature is missing from the catalog",
    "Every use of it is refused. Create it in the catalog, or remove it from RequiredFeatures.",
  ],
  feature_inactive: [
    "A required feature is inactive",
    "Every use of it is refused. Activate it in the catalog, or remove it from RequiredFeatures.",
  ],
  sweep_late: [
    "The hourly sweep hasn't run for two hours",
    "Balances are correct, but renewal events are late. Check the schedule and the reset function's log.",
  ],
  audit_mismatches: [
    "The audit found mismatches",
    "The audit function's log names the accounts, and scrip audit shows what's wrong. Save the evidence before you repair anything.",
  ],
  accounts_unaudited: [
    "Some accounts have too many entries to audit in time",
    "The audit function's log names them. Audit each one with scrip audit --account.",
  ],
  audit_late: [
    "The daily audit is behind",
    "Check the schedule and the audit function's log. There may be more accounts than it can audit in a day.",
  ],
  dead_letters: [
    "Some messages couldn't be processed",
    "Read them in the queue, fix the cause, and redrive them.",
  ],
  queue_unreadable: [
    "A queue's length is unavailable",
    "Check the queue in SQS, then reload this page.",
  ],
};

/** Return the title of a problem, and advice. */
export const described = (code) => PROBLEMS[code] ?? [words(code), ""];
