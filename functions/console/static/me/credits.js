// The custom element <scrip-credits>: a user's credits on the pages of an app.
//
// One file without imports: another site loads it as a script, and no policy has to let in more.

(() => {
  const EVERY_MS = 30_000;

  const STYLE = new CSSStyleSheet();
  STYLE.replaceSync(`
    :host { display: block; font-variant-numeric: tabular-nums; }
    :host([hidden]) { display: none; }
    p, ul { margin: 0; padding: 0; }
    ul { list-style: none; margin-top: 0.5em; }
    a { color: inherit; display: inline-block; margin-top: 0.5em; }
    .balance { font-size: 1.5em; font-weight: 600; }
  `);

  const numbers = new Intl.NumberFormat("en-US");
  const dates = new Intl.DateTimeFormat("en-US", { dateStyle: "medium" });
  const credits = (count) => `${numbers.format(count)} ${count === 1 ? "credit" : "credits"}`;
  const day = (iso) => dates.format(new Date(iso));

  /** List what else a user should know of an account, the most serious first. */
  function facts({ status, debt, held, grants }, upcoming) {
    const expiring = grants.filter((grant) => grant.expires_at && grant.remaining > 0);
    const [first] = expiring.sort((one, other) => (one.expires_at < other.expires_at ? -1 : 1));
    const arrival = upcoming.find((change) => change.granted > 0);
    return [
      status === "frozen" && "Your account is paused.",
      debt > 0 && `You owe ${credits(debt)}.`,
      held > 0 && `${credits(held)} set aside for work in progress.`,
      first && `${credits(first.remaining)} will expire on ${day(first.expires_at)}.`,
      arrival && `${credits(arrival.granted)} will arrive on ${day(arrival.at)}.`,
    ].filter(Boolean);
  }

  const made = (name, properties) => Object.assign(document.createElement(name), properties);

  class ScripCredits extends HTMLElement {
    static observedAttributes = ["api-url", "page-url"];

    #balance;
    #facts;
    #link;
    #getToken = null;
    #reads = 0;
    #timer = null;
    #whenVisible = () => document.visibilityState === "visible" && this.refresh();

    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [STYLE];
      // Screen readers announce a change of the balance, and read the list when they get there.
      this.#balance = made("p", { part: "balance", className: "balance", role: "status" });
      this.#facts = made("ul", { part: "facts" });
      this.#link = made("a", { part: "link", textContent: "See where your credits went" });
      const section = made("section", { ariaLabel: "Your credits" });
      section.append(this.#balance, this.#facts, this.#link);
      root.append(section);
    }

    /** A function that returns the user's access token, or a promise of it. */
    get getToken() {
      return this.#getToken;
    }

    set getToken(getToken) {
      this.#getToken = getToken;
      this.refresh();
    }

    connectedCallback() {
      // Set before this script had defined the element, it hides the setter above.
      if (Object.hasOwn(this, "getToken")) {
        const given = this.getToken;
        delete this.getToken;
        this.#getToken = given;
      }
      document.addEventListener("visibilitychange", this.#whenVisible);
      this.#timer = setInterval(this.#whenVisible, EVERY_MS);
      this.refresh();
    }

    disconnectedCallback() {
      document.removeEventListener("visibilitychange", this.#whenVisible);
      clearInterval(this.#timer);
    }

    attributeChangedCallback() {
      const api = this.getAttribute("api-url") ?? "";
      const page = this.getAttribute("page-url") ?? `${api}/me`;
      this.#link.href = page;
      this.refresh();
    }

    /** Read the balance now, such as after a use. What is shown stays if that fails. */
    async refresh() {
      const api = this.getAttribute("api-url");
      if (!this.isConnected || !api || !this.#getToken) return;
      this.#reads += 1;
      const read = this.#reads;
      try {
        const headers = { Authorization: `Bearer ${await this.#getToken()}` };
        const [account, { upcoming }] = await Promise.all(
          ["me", "me/upcoming"].map(async (path) => {
            const answer = await fetch(`${api}/v1/accounts/${path}`, { headers });
            if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
            return answer.json();
          }),
        );
        // The answer to an earlier read never replaces a later one.
        if (read === this.#reads) this.#show(account, upcoming);
      } catch (error) {
        console.warn("scrip-credits:", error);
        this.#balance.textContent ||= "Your credits can't be shown right now.";
      }
    }

    #show(account, upcoming) {
      const balance = account.unlimited ? "Unlimited credits" : credits(account.balance);
      // The same text again would be announced again.
      if (this.#balance.textContent !== balance) this.#balance.textContent = balance;
      const lines = facts(account, upcoming).map((textContent) => made("li", { textContent }));
      this.#facts.replaceChildren(...lines);
    }
  }

  customElements.define("scrip-credits", ScripCredits);
})();
