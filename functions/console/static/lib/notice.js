// The one line that tells people what their last action did; the shell shows and speaks it.

let listener = () => {};

/** Tell what was done: "50 credits added; balance 10 150". */
export const announce = (text) => listener(text);

/** Be called with each text that is announced; there is one listener. */
export function onNotice(callback) {
  listener = callback;
}
