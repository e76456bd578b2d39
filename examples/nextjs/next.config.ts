import type { NextConfig } from "next";

const config: NextConfig = {
  // The folder above has lock files, too.
  turbopack: { root: import.meta.dirname },
};

export default config;
