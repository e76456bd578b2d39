/** Signs a user in, streams answers of our back end, and shows the user's own credits. */

const { apiUrl, cognitoUrl, clientId } = await (await fetch("config.json")).json();
const at = (id) => document.getElementById(id);
let token;
let stopping;

/** Sign in at Cognito, which gets the password; our back end gets only the token. */
at("sign-in").onsubmit = async (event) => {
  event.preventDefault();
  const { email, password } = Object.fromEntries(new FormData(event.target));
  const response = await fetch(cognitoUrl, {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
    },
    body: JSON.stringify({
      AuthFlow: "USER_PASSWORD_AUTH",
      AuthParameters: { USERNAME: email, PASSWORD: password },
      ClientId: clientId,
    }),
  });
  const answer = await response.json();
  token = answer.AuthenticationResult?.AccessToken;
  at("sign-in-error").textContent = token ? "" : (answer.message ?? answer.ChallengeName);
  at("sign-in").hidden = Boolean(token);
  at("signed-in").hidden = !token;
  if (token) await showCredits();
};
// A form that is sent before this runs would put the password into the page's address.
at("sign-in").querySelector("button").disabled = false;

/** Show an answer as it comes. The back end has charged for it when it ends. */
at("ask").onsubmit = async (event) => {
  event.preventDefault();
  stopping = new AbortController();
  at("answer").textContent = "";
  showAsking(true);
  try {
    const response = await fetch("answers", {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(event.target))),
      signal: stopping.signal,
    });
    if (response.ok) await showStream(response.body.pipeThrough(new TextDecoderStream()));
    else showProblem(await response.json());
  } catch (error) {
    if (!stopping.signal.aborted)
      at("answer").textContent = `The answer broke off: ${error.message}`;
  }
  showAsking(false);
  await showCredits();
};

/** Leave the answer: the connection closes, and the back end charges for what was delivered. */
at("stop").onclick = () => stopping.abort();

function showAsking(isAsking) {
  at("send").disabled = isAsking;
  at("stop").disabled = !isAsking;
}

async function showStream(stream) {
  const reader = stream.getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    at("answer").append(value);
  }
}

function showProblem(problem) {
  if (problem.code !== "insufficient_credits") {
    at("answer").textContent = problem.detail;
    return;
  }
  at("detail").textContent = problem.detail;
  at("next-reset").textContent = new Date(problem.next_reset_at).toLocaleDateString();
  link("top-up", problem.top_up_url);
  link("credits", problem.credits_url);
  at("out-of-credits").showModal();
}

/** Show a link, unless the stack has no such page. */
function link(id, url) {
  at(id).hidden = !url;
  at(id).href = url ?? "";
}

/** Read the balance and the newest charges with the user's own token. */
async function showCredits() {
  const [account, { entries }] = await Promise.all([
    read("me"),
    read("me/entries?type=usage&limit=10"),
  ]);
  at("balance").textContent = `${account.available.toLocaleString()} credits`;
  at("charges").replaceChildren(...entries.map(row));
  // An answer that was left is charged a moment later; until then its credits are held.
  if (account.held && at("stop").disabled) setTimeout(showCredits, 1000);
}

async function read(path) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${apiUrl}/v1/accounts/${path}`, { headers });
  if (response.status === 401) location.reload(); // The token has expired: sign in again.
  return response.json();
}

function row({ recorded_at, feature, usage, cost, metadata }) {
  const tokens = Object.entries(usage ?? {}).map(([meter, count]) => `${count} ${meter}`);
  const values = [
    new Date(recorded_at).toLocaleTimeString(),
    feature,
    tokens.join(", "),
    metadata?.estimated ? `${cost} (estimated)` : cost,
  ];
  const found = document.createElement("tr");
  found.append(
    ...values.map((value) => {
      const cell = document.createElement("td");
      cell.append(value);
      return cell;
    }),
  );
  return found;
}
