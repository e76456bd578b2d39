// Opens an account, as its owner's sign-up would.

import { html, useState } from "../lib/vendor.js";
import { post } from "../lib/api.js";
import { credits } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import { Field, binder } from "../components/fields.js";

/** `done(accountId)` is called once the account is open. */
export function OpenAccountDialog({ close, done }) {
  const [form, setForm] = useState({ id: "", email: "" });
  const [errors, setErrors] = useState({});
  const bound = binder(form, setForm, errors);
  const prepare = async () => {
    const [id, email] = [form.id.trim(), form.email.trim()];
    setErrors(id ? {} : { id: "Enter an ID." });
    if (!id) return null;
    const body = { account_id: id, ...(email && { email }) };
    const { balance, plan_id: plan } = await post("admin/accounts", body, { isDryRun: true });
    return {
      body,
      label: "Open account",
      effect: html`<p>
        Opens <strong>${id}</strong>${email && ` for ${email}`} on plan ${plan}, with ${credits(balance)}.
        If the account is already open, it keeps what it has.
      </p>`,
    };
  };
  return html`<${ChangeDialog}
    title="New account"
    close=${close}
    prepare=${prepare}
    send=${(body) => post("admin/accounts", body)}
    done=${({ account_id: id }) => done(id)}
  >
    <${Field}
      ...${bound("id", "Account ID")}
      hint="The user's ID at your identity provider."
      spellcheck=${false}
      autocapitalize="none"
      autofocus
    />
    <${Field} ...${bound("email", "Email")} type="email" hint="Optional. Lets support find the account by email." />
  <//>`;
}
