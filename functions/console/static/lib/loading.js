// Hooks that read from the API for a page, and stop when one leaves it.

import { useCallback, useEffect, useRef, useState } from "./vendor.js";

/**
 * Read something once, and again whenever `inputs` change or `reload` is called.
 *
 * `read(signal)` returns a promise. What was read before stays while it is read again.
 */
export function useLoaded(read, inputs) {
  const [state, setState] = useState({ isLoading: true });
  const [turn, setTurn] = useState(0);
  const inputsRead = useRef(inputs);
  useEffect(() => {
    const stop = new AbortController();
    const isSame = inputsRead.current.every((input, index) => input === inputs[index]);
    inputsRead.current = inputs;
    setState((before) => ({ data: isSame ? before.data : undefined, isLoading: true }));
    read(stop.signal).then(
      (data) => stop.signal.aborted || setState({ data, isLoading: false }),
      (error) => stop.signal.aborted || setState({ error, isLoading: false }),
    );
    return () => stop.abort();
  }, [...inputs, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  return { ...state, reload };
}

/**
 * Read a list page by page: `items` so far, `more()` for the next, `isComplete` at its end.
 *
 * `readPage(cursor, signal)` returns `{items, cursor}`; a page may be empty before the end.
 */
export function usePages(readPage, inputs) {
  const start = { items: [], cursor: null, isComplete: false, isLoading: true };
  const [state, setState] = useState(start);
  const [turn, setTurn] = useState(0);
  const running = useRef(null);

  const load = useCallback(
    async (cursor, items) => {
      running.current?.abort();
      const stop = new AbortController();
      running.current = stop;
      setState({ items, cursor, isComplete: false, isLoading: true });
      try {
        const page = await readPage(cursor, stop.signal);
        if (stop.signal.aborted) return;
        setState({
          items: [...items, ...page.items],
          cursor: page.cursor,
          isComplete: page.cursor === null,
          isLoading: false,
        });
      } catch (error) {
        if (stop.signal.aborted) return;
        setState({ items, cursor, isComplete: false, isLoading: false, error });
      }
    },
    [...inputs, turn],
  );

  useEffect(() => {
    load(null, []);
    return () => running.current?.abort();
  }, [load]);

  return {
    ...state,
    more: () => !state.isLoading && load(state.cursor, state.items),
    reload: () => setTurn((before) => before + 1),
  };
}
