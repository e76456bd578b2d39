// Formats of numbers, times and names: American English, local time, plain words.

const MINUS = "\u2212";
const numbers = new Intl.NumberFormat("en-US", { useGrouping: "always" });

const instants = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "short" });
const exactInstants = new Intl.DateTimeFormat("en-US", {
  dateStyle: "medium",
  timeStyle: "medium",
});
const times = new Intl.DateTimeFormat("en-US", { timeStyle: "short" });
const dates = new Intl.DateTimeFormat("en-US", { dateStyle: "medium" });
const utcDays = new Intl.DateTimeFormat("en-US", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});
const months = new Intl.DateTimeFormat("en-US", { month: "long", year: "numeric", timeZone: "UTC" });
const spans = new Intl.RelativeTimeFormat("en-US", { numeric: "auto" });

/** Format a number with a true minus sign: 10,150. */
export const number = (value) => numbers.format(value).replace("-", MINUS);

const shorts = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 4 });

/** Format a number so that it is short: 9,999,999 and 12.35M. */
export const short = (value) => (value < 10 ** 7 ? number(value) : shorts.format(value));

/** Format a change with its sign: +50, −25, 0. */
export const signed = (value) => (value > 0 ? `+${number(value)}` : number(value || 0));

/** Format a count with its noun: 1 period, 2 periods. */
export const counted = (value, noun, plural = `${noun}s`) =>
  `${number(value)} ${Math.abs(value) === 1 ? noun : plural}`;

/** Format credits: 1 credit, 50 credits. */
export const credits = (value) => counted(value, "credit");

const PERCENT_MAX = 999;

/** Compare with a number of the period before, of `length` days: 12% more than the previous 30 days. */
export function compared(now, then, length) {
  const period = length === 1 ? "the previous day" : `the previous ${counted(length, "day")}`;
  if (now === then) return `the same as ${period}`;
  const percent = Math.round((100 * Math.abs(now - then)) / then);
  const by = percent > 0 && percent <= PERCENT_MAX ? `${percent}% ` : "";
  return `${by}${now > then ? "more" : "less"} than ${period}`;
}

/** Format money in the smallest unit of a currency such as usd: $12.50. */
export function money(value, currency) {
  const format = new Intl.NumberFormat("en-US", { style: "currency", currency });
  const { maximumFractionDigits: digits } = format.resolvedOptions();
  return format.format(value / 10 ** digits);
}

/** Format an instant in local time, to the minute. */
export const instant = (iso) => instants.format(new Date(iso));

/** Format an instant in local time, to the second. */
export const exactInstant = (iso) => exactInstants.format(new Date(iso));

/** Format the local time of day of an instant. */
export const timeOfDay = (iso) => times.format(new Date(iso));

/** Format the local day of an instant. */
export const date = (iso) => dates.format(new Date(iso));

/** Format a UTC day such as 2026-11-21. */
export const utcDay = (day) => utcDays.format(new Date(`${day}T00:00:00Z`));

/** Format a month such as 2026-11. */
export const monthName = (month) => months.format(new Date(`${month}-01T00:00:00Z`));

/** Format an instant for a datetime-local input: the first minute that is not before it. */
export function localInput(iso) {
  const at = new Date(new Date(iso).getTime() + 59_999);
  at.setMinutes(at.getMinutes() - at.getTimezoneOffset());
  return at.toISOString().slice(0, 16);
}

/** Format an instant in UTC: 2026-11-21 13:05:00.123 UTC. */
export const utc = (iso) => `${new Date(iso).toISOString().replace("T", " ").replace("Z", "")} UTC`;

const UNITS = [
  ["year", 365 * 24 * 3600],
  ["month", 30 * 24 * 3600],
  ["week", 7 * 24 * 3600],
  ["day", 24 * 3600],
  ["hour", 3600],
  ["minute", 60],
];

let aheadMs = 0;

/** Count from now on as if it were another time, or (null) from the present again. */
export const setNow = (iso) => {
  aheadMs = iso === null ? 0 : new Date(iso) - Date.now();
};

/** Format an instant relative to now: in 3 days, 2 hours ago. */
export function relative(iso) {
  const seconds = (new Date(iso) - Date.now() - aheadMs) / 1000;
  const unit = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  return unit ? spans.format(Math.trunc(seconds / unit[1]), unit[0]) : "just now";
}

/** Format a duration in its largest unit: 5 minutes, 3 hours. */
export function duration(seconds) {
  const [unit, length] = UNITS.find(([, size]) => seconds >= size) ?? ["second", 1];
  return counted(Math.floor(seconds / length), unit);
}

/** Turn an identifier into words: admin_grant becomes Admin grant, meters.input Meters input. */
export function words(name) {
  return capitalized(String(name).replaceAll(/[_.]/g, " "));
}

/** Begin a text with a capital letter. */
export const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Return whether a text is a day such as 2026-11-21 in the years 2000 to 2100. */
export function isDay(text) {
  if (!/^(20\d\d|2100)-\d\d-\d\d$/.test(text ?? "")) return false;
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

/** Return the UTC day that is `days` from today, such as 2026-11-21. */
export function dayFromToday(days) {
  const day = new Date(Date.now() + aheadMs);
  day.setUTCDate(day.getUTCDate() + days);
  return day.toISOString().slice(0, 10);
}

const DAY_MS = 24 * 3600 * 1000;

/** Return the day that is `days` after a day such as 2026-11-21. */
export const dayAfter = (day, days = 1) =>
  new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);

/** Return the start, in UTC, of the local day that is `after` days after a day such as 2026-11-21. */
export function localMidnight(day, after = 0) {
  const at = new Date(`${day}T00:00:00`);
  at.setDate(at.getDate() + after);
  return at.toISOString();
}
