"use client";

import { clientFor, type Entry } from "@scrip/client";
import { useCredits } from "@scrip/react";
import { useEffect, useState } from "react";

/** The newest charges, read again whenever the balance has changed. */
export function Charges({ apiUrl, token }: { apiUrl: string; token: string }) {
  const { balance } = useCredits();
  const [entries, setEntries] = useState<Entry[]>([]);

  useEffect(() => {
    const read = async () => {
      const found: Entry[] = [];
      for await (const entry of clientFor({ url: apiUrl, token }).entries({ type: "usage" })) {
        found.push(entry);
        if (found.length === 10) break;
      }
      setEntries(found);
    };
    void read().catch(console.error);
  }, [apiUrl, token, balance]);

  return (
    <section>
      <h2 id="charges">What was charged</h2>
      <table aria-labelledby="charges">
        <thead>
          <tr>
            <th>When</th>
            <th>Feature</th>
            <th>Tokens</th>
            <th>Credits</th>
          </tr>
        </thead>
        <tbody>
          {entries.map(({ entry_id, recorded_at, feature, usage, cost, metadata }) => (
            <tr key={entry_id}>
              <td>{new Date(recorded_at).toLocaleTimeString()}</td>
              <td>{feature}</td>
              <td>
                {Object.entries(usage ?? {})
                  .map(([meter, count]) => `${count} ${meter}`)
                  .join(", ")}
              </td>
              <td>
                {cost}
                {metadata?.estimated ? " (estimated)" : ""}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
