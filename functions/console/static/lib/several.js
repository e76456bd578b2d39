// Work on many accounts: a few at a time, and each of them on its own.

const AT_ONCE = 4;

/** Do `work(item)` for each item, a few at a time. Once `signal` aborts, no other one begins. */
export async function forEach(items, work, signal) {
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) {
      if (signal.aborted) return;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
