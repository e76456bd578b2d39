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

/** Load the chart library and its style, once, for the first chart. */
export async function loadPlot() {
  plotLoaded ??= Promise.all([
    added("link", { rel: "stylesheet", href: vendored("uPlot.min.css") }),
    added("script", { src: vendored("uPlot.iife.min.js") }),
  ]);
  await plotLoaded;
  return globalThis.uPlot;
}

const vendored = (name) => new URL(`../vendor/${name}`, import.meta.url);

const added = (tag, properties) =>
  new Promise((onload, failed) => {
    const onerror = () => failed(new Error("Couldn't load the chart library."));
    document.head.append(Object.assign(document.createElement(tag), properties, { onload, onerror }));
  });

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
