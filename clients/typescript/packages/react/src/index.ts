/** Show a user's credits in React. */

export { Balance, type ClassName, OutOfCredits, UsageMeter } from "./components.js";
export { type Credits, ScripProvider, type ScripProviderProps, useCredits } from "./provider.js";
export type { Shortage } from "./store.js";
