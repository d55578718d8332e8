/**
 * Calls a function when the browser comes back online or the page is looked
 * at again, until the returned function is called. Elsewhere it never does.
 */
export function onWake(wake: () => void): () => void {
  const { document } = globalThis;
  const visible = () => {
    if (document.visibilityState === "visible") wake();
  };
  globalThis.addEventListener?.("online", wake);
  document?.addEventListener("visibilitychange", visible);
  return () => {
    globalThis.removeEventListener?.("online", wake);
    document?.removeEventListener("visibilitychange", visible);
  };
}
