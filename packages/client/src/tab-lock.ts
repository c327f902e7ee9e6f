/**
 * Waits until no other tab of this origin, nor this one, holds the lock of this name, and holds it until `signal` aborts; `onWait` is
 * called when it has to wait. Where there are no Web Locks, as on pages without TLS, or none may be asked for, as in sandboxed frames,
 * there is nothing to wait for.
 *
 * @throws the reason of `signal`
 */
export async function holdTabLock(
  name: string,
  { signal, onWait }: { signal: AbortSignal; onWait(): void },
): Promise<void> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return;
  const over = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  /** Resolves with whether it is held; with false only if it is asked for now. */
  const hold = (options: { ifAvailable: true } | { signal: AbortSignal }) =>
    new Promise<boolean>((resolve, reject) => {
      const held = locks.request(name, options, async (lock) => {
        resolve(lock !== null);
        if (lock) await over;
      });
      held.catch(reject);
    });
  try {
    if (await hold({ ifAvailable: true })) return;
    onWait();
    await hold({ signal });
  } catch {
    signal.throwIfAborted();
  }
}
