// The current route: the part of the address after #, as segments and a query.

import { useEffect, useState } from "./vendor.js";

/** Return the address of a page: href(["accounts", id, "ledger"], { type: "usage" }). */
export function href(segments, query = {}) {
  const filled = Object.entries(query).filter(([, value]) => value);
  const search = new URLSearchParams(filled).toString();
  return `#/${segments.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

/** Go to a page; `replace` replaces the current one in the browser's history. */
export function go(to, { replace = false } = {}) {
  if (replace) location.replace(to);
  else location.hash = to;
}

/** Return the part of the address after #, whenever it changes. */
export function useHash() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return hash.replace(/^#\/?/, "");
}

/** Return the current route: its `segments`, and its `query` as an object. */
export function useRoute() {
  const [path, search = ""] = useHash().split("?");
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
