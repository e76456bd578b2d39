// The libraries of vendor/, which come as scripts with global names, as a module.

const { h, render, Fragment } = globalThis.preact;
const { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } =
  globalThis.preactHooks;
const { UserManager, WebStorageStateStore } = globalThis.oidc;
const { uPlot: Plot } = globalThis;

/** Markup as a tagged template: html`<p>${text}</p>`. */
const html = globalThis.htm.bind(h);

export {
  Fragment,
  Plot,
  UserManager,
  WebStorageStateStore,
  html,
  render,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
};
