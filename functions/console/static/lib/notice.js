// Notices: a line about the user's last action, which the shell shows and announces.

let listener = () => {};

/** Show a notice: "50 credits added; balance 10 150". */
export const announce = (text) => listener(text);

/** Register the only listener of notices. */
export function onNotice(callback) {
  listener = callback;
}
