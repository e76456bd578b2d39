import type { ReactNode } from "react";
import "./style.css";

export const metadata = { title: "Ask a model", icons: "data:," };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <main>
          <h1>Ask a model</h1>
          {children}
        </main>
      </body>
    </html>
  );
}
