"use client";

import { OutOfCredits, ScripProvider } from "@scrip/react";
import { type FormEvent, useCallback, useEffect, useState } from "react";
import { Ask } from "./ask";
import { Charges } from "./charges";

interface Addresses {
  apiUrl: string;
  cognitoUrl: string;
  clientId: string;
}

/** Sign a user in at Cognito, which gets the password; our back end gets only the token. */
export function SignedIn({ apiUrl, cognitoUrl, clientId }: Addresses) {
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const [isReady, setReady] = useState(false);
  const getToken = useCallback(() => token, [token]);
  // A form that is sent before this runs would put the password into the page's address.
  useEffect(() => setReady(true), []);

  const signIn = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { email, password } = Object.fromEntries(new FormData(event.currentTarget));
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
    setToken(answer.AuthenticationResult?.AccessToken ?? "");
    setError(answer.message ?? answer.ChallengeName ?? "");
  };

  if (token) {
    return (
      <ScripProvider url={apiUrl} getToken={getToken}>
        <Ask token={token} />
        <Charges apiUrl={apiUrl} token={token} />
        <OutOfCredits />
      </ScripProvider>
    );
  }
  return (
    <form onSubmit={signIn}>
      <label>
        Email <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <button disabled={!isReady}>Sign in</button>
      <p role="alert">{error}</p>
    </form>
  );
}
