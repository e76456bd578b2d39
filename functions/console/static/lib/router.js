// Where in the console one is: the part of the address behind #, as segments and a query.

import { useEffect, useState } from "./vendor.js";

/** The address of a page: href(["accounts", id, "ledger"], { type: "usage" }). */
export function href(segments, query = {}) {
  const told = Object.entries(query).filter(([, value]) => value);
  const search = new URLSearchParams(told).toString();
  return `#/${segments.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

/** Go to a page; with `replace` the one before is forgotten. */
export function go(to, { replace = false } = {}) {
  if (replace) location.replace(to);
  else location.hash = to;
}

/** The page that the address names: its `segments`, and its `query` as an object. */
export function useRoute() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  return {
    segments: path.split("/").filter(Boolean).map(decoded),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
