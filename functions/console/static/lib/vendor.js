// A module of the libraries in vendor/, which are scripts that define globals.

const { h, render, Fragment } = globalThis.preact;
const {
  useCallback,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} = globalThis.preactHooks;
const { UserManager, WebStorageStateStore } = globalThis.oidc;

/** Build elements from a tagged template: html`<p>${text}</p>`. */
const html = globalThis.htm.bind(h);

let plotLoaded = null;

/** Load the chart library, once, for the first chart. */
export function loadPlot() {
  plotLoaded ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = new URL("../vendor/uPlot.iife.min.js", import.meta.url);
    script.onload = () => done(globalThis.uPlot);
    script.onerror = () => failed(new Error("Couldn't load the chart library."));
    document.head.append(script);
  });
  return plotLoaded;
}

export {
  Fragment,
  UserManager,
  WebStorageStateStore,
  html,
  render,
  useCallback,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
};
