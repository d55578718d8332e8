/**
 * Calls wake when the browser comes back online or the page becomes visible,
 * until the signal aborts. Other platforms never call it.
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
