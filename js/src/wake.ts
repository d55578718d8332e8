/**
 * Calls a function when the browser comes back online or the page is looked
 * at again, until the signal. Elsewhere it never does.
 */
export function onWake(wake: () => void, signal: AbortSignal): void {
  const { document } = globalThis;
  globalThis.addEventListener?.("online", wake, { signal });
  document?.addEventListener(
    "visibilitychange",
    () => {
      if (document.visibilityState === "visible") wake();
    },
    { signal },
  );
}
