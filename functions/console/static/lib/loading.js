// Hooks that read from the API for a page and stop when the user leaves it.

import { useCallback, useEffect, useRef, useState } from "./vendor.js";

const EMPTY_PAGES_MAX = 20;

const isEmptyOnTheWay = ({ items, cursor }) => items.length === 0 && cursor !== null;

const areSame = (some, others) => some.every((input, index) => input === others[index]);

/**
 * Call `read(signal)` once, and again whenever `inputs` or `turn` change or `reload` is called.
 *
 * `read` returns a promise. The previous data stays while it is reloaded for the same `inputs`.
 */
export function useLoaded(read, inputs, turn = 0) {
  const [state, setState] = useState({ inputs, isLoading: true });
  const [reloads, setReloads] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    const settle = (outcome) =>
      stop.signal.aborted || setState({ inputs, isLoading: false, ...outcome });
    setState((before) => ({
      inputs,
      data: areSame(before.inputs, inputs) ? before.data : undefined,
      isLoading: true,
    }));
    read(stop.signal).then(
      (data) => settle({ data }),
      (error) => settle({ error }),
    );
    return () => stop.abort();
  }, [...inputs, turn, reloads]);
  const reload = useCallback(() => setReloads((before) => before + 1), []);
  return { ...(areSame(state.inputs, inputs) ? state : { isLoading: true }), reload };
}

/**
 * Read a list page by page: `items` so far, `more()` to load the next, `isComplete` at the end.
 *
 * `readPage(cursor, signal)` returns `{items, cursor}`. A page before the end may be empty; then the
 * next ones follow immediately, up to `EMPTY_PAGES_MAX`. The list starts over whenever `inputs` or
 * `turn` change or `reload` is called.
 */
export function usePages(readPage, inputs, turn = 0) {
  const nothing = { inputs, items: [], cursor: null, isComplete: false, isLoading: true };
  const [state, setState] = useState(nothing);
  const [reloads, setReloads] = useState(0);
  const running = useRef(null);

  const load = async (cursor, items) => {
    running.current?.abort();
    const stop = new AbortController();
    running.current = stop;
    const settle = (outcome) =>
      stop.signal.aborted || setState({ ...nothing, items, cursor, isLoading: false, ...outcome });
    try {
      let page = await readPage(cursor, stop.signal);
      for (let empty = 1; isEmptyOnTheWay(page) && empty < EMPTY_PAGES_MAX; empty += 1) {
        page = await readPage(page.cursor, stop.signal);
      }
      settle({
        items: [...items, ...page.items],
        cursor: page.cursor,
        isComplete: page.cursor === null,
      });
    } catch (error) {
      settle({ error });
    }
  };

  useEffect(() => {
    setState((before) => ({
      ...nothing,
      items: areSame(before.inputs, inputs) ? before.items : [],
    }));
    load(null, []);
    return () => running.current?.abort();
  }, [...inputs, turn, reloads]);

  const { items, cursor, isLoading } = state;
  const more = () => {
    if (isLoading) return;
    setState({ ...state, error: undefined, isLoading: true });
    load(cursor, items);
  };
  const reload = () => setReloads((before) => before + 1);
  return { ...(areSame(state.inputs, inputs) ? state : nothing), more, reload };
}
