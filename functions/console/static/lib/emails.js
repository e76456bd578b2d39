// Addresses of accounts that a list has shown: reading one account does not tell them.

const known = new Map();

/** Remember the addresses of listed accounts. */
export function rememberEmails(accounts) {
  for (const { account_id: accountId, emails } of accounts) {
    if (emails) known.set(accountId, emails);
  }
}

/** The addresses of an account, as far as a list has shown it. */
export const emailsOf = (accountId) => known.get(accountId) ?? [];
