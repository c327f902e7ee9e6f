/** Loaded before everything else of a process (`--import`): its wall clock is off by `CLOCK_SHIFT_MS`, its timers are not. */
const shiftMs = Number(process.env.CLOCK_SHIFT_MS);
const { now } = Date;

globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now() + shiftMs] : args, newTarget),
  get: (target, name, receiver) =>
    name === 'now' ? () => now() + shiftMs : Reflect.get(target, name, receiver),
});
