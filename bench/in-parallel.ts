/** Calls `run` with 0 to `count` - 1, of which so many are under way at once. */
export async function inParallel(
  count: number,
  atOnce: number,
  run: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const runOn = async () => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, runOn));
}
