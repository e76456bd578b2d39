// The actions that the current page offers to the command palette.

let offered = [];

/** Offer actions, `{name, act}`, in place of those of the page before. */
export function offer(actions) {
  offered = actions;
}

/** Return the actions on offer. */
export const commands = () => offered;
