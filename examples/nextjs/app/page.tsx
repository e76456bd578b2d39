import { SignedIn } from "./signed-in";
import { connection } from "next/server";

/** Give the browser the addresses that are in the server's environment. Nothing is secret. */
export default async function Page() {
  await connection(); // The environment is that of the start, not of the build.
  const { SCRIP_API_URL, SCRIP_ENDPOINT_URL, SCRIP_CLIENT_ID } = process.env;
  return (
    <SignedIn
      apiUrl={SCRIP_API_URL!}
      cognitoUrl={SCRIP_ENDPOINT_URL!}
      clientId={SCRIP_CLIENT_ID!}
    />
  );
}
