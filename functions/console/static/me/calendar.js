// Months such as 2026-11, in UTC.

/** Return the month that is some months after or before another. */
export function beside(month, count) {
  const at = new Date(`${month}-01T00:00:00Z`);
  at.setUTCMonth(at.getUTCMonth() + count);
  return at.toISOString().slice(0, 7);
}

/** Return the first day of a month, and the first one after it. */
export const spanOf = (month) => ({ from: `${month}-01`, to: `${beside(month, 1)}-01` });

/** Return a month's last day. */
export function lastDay(month) {
  const at = new Date(spanOf(month).to);
  at.setUTCDate(0);
  return at.toISOString().slice(0, 10);
}
