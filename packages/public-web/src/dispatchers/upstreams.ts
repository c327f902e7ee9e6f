/**
 * The dispatchers that exist now, and which of them gets the next batch.
 *
 * Every address a name resolves to is one upstream; names are resolved anew and connections renewed each minute, so
 * that scaling out is seen; a name that does not resolve, each second, because the tiers start in any order. An
 * upstream that fails gets no batches until it answers an empty one.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '@waybill/common/within.ts';
import type { Logger } from 'pino';
import { buildConnector, Pool } from 'undici';

const RENEW_MS = 60_000;
const RESOLVE_AGAIN_MS = 1_000;
const RESOLVE_TIMEOUT_MS = 2_000;
const CLOSE_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 1_000;
/** Each event type has batches of its own under way; past this many they wait for a connection. */
const MAX_CONNECTIONS = 64;
/** How often a failing upstream is tried, with full jitter. */
const PROBE_MS = 500;
/** What a call takes longer than for a reason of its own: it takes some 40 ms where all processors are busy. */
const LATE_MS = 250;

export type Upstream = {
  /** `http://<address>:<port>`, or `https:`. */
  origin: string;
  /** The name that resolved to it, which its certificate must be for. */
  hostname: string;
  pool: Pool;
  inFlight: number;
  /** Of those under way, what has been so for longer than calls take. */
  late: number;
  isFailing: boolean;
};

export type Upstreams = {
  /** The upstream with the fewest batches under way, of those neither failing nor in `tried`; undefined when none. */
  pick(tried: ReadonlySet<Upstream>): Upstream | undefined;
  /** Counts a batch as under way to `upstream`, until the function is called that it returns. */
  begin(upstream: Upstream): () => void;
  /**
   * How many batches may be under way over all upstreams, when so many may be to each: those that a failing one still holds
   * take no room from the others, and one more can always fail when none is left.
   */
  capacity(perUpstream: number): number;
  /**
   * How many may be under way that are not full: `atOnce`, as to a single upstream, because more of them would be smaller. One more
   * for each upstream that is late, so that a frozen one takes no room from the others for long; then up to one to each.
   */
  partialCapacity(atOnce: number): number;
  /** No batches for this one until it answers a probe. */
  markFailing(upstream: Upstream, reason: string): void;
  /** Waits a second for what is under way, then cuts it off. */
  close(): Promise<void>;
};

/**
 * Resolves `urls` once and keeps them resolved. A name that does not resolve now may later.
 *
 * @param probe sends an empty batch; resolves whether the upstream accepts events.
 * @param onRoom called when there is more room for batches: as an upstream is late, fails with some under way, is well
 *   again, or names may have resolved to more of them.
 */
export async function createUpstreams({
  urls,
  probe,
  onRoom,
  log,
}: {
  urls: readonly string[];
  probe(upstream: Upstream): Promise<boolean>;
  onRoom(): void;
  log: Logger;
}): Promise<Upstreams> {
  let upstreams: Upstream[] = [];
  const closing = new AbortController();
  const known = new Map<string, Target[]>();
  const unresolved = new Set<string>();
  let turn = 0;
  let timer: NodeJS.Timeout;

  async function renew(): Promise<void> {
    const resolved = await Promise.all(urls.map(resolveOrKeep));
    if (closing.signal.aborted) return;
    const wanted = new Map(resolved.flat().map((target) => [target.origin, target]));
    const before = upstreams;
    upstreams = [...wanted.values()].map(
      (target) => before.find((upstream) => isAt(upstream, target)) ?? openUpstream(target),
    );
    // close() lets what is under way finish.
    for (const upstream of before) if (!upstreams.includes(upstream)) void upstream.pool.close();
    timer = setTimeout(() => void renew().then(onRoom), unresolved.size > 0 ? RESOLVE_AGAIN_MS : RENEW_MS);
    timer.unref();
  }

  /** On a failed lookup the addresses known from before stay: a DNS hiccup must not take every dispatcher away. */
  async function resolveOrKeep(url: string): Promise<Target[]> {
    try {
      const targets = await resolve(url);
      unresolved.delete(url);
      known.set(url, targets);
      return targets;
    } catch (error) {
      const reason = (error as Error).message;
      if (!unresolved.has(url)) log.warn({ dispatcher: url, reason }, 'dispatcher name does not resolve');
      unresolved.add(url);
      return known.get(url) ?? [];
    }
  }

  async function probeUntilWell(upstream: Upstream): Promise<void> {
    while (!closing.signal.aborted && upstreams.includes(upstream)) {
      await delay(Math.random() * PROBE_MS, undefined, { signal: closing.signal }).catch(() => {});
      if (closing.signal.aborted) return;
      if (await probe(upstream)) {
        upstream.isFailing = false;
        log.info({ dispatcher: upstream.origin }, 'dispatcher accepts events again');
        onRoom();
        return;
      }
    }
  }

  /** How many are not failing, how many of these are late, and what the failing ones still hold. */
  function count(): { well: number; late: number; held: number } {
    const counts = { well: 0, late: 0, held: 0 };
    for (const { isFailing, inFlight, late } of upstreams) {
      if (isFailing) counts.held += inFlight;
      else counts.well += 1;
      if (!isFailing && late > 0) counts.late += 1;
    }
    return counts;
  }

  await renew();

  return {
    pick(tried) {
      turn += 1;
      const candidates = upstreams.filter((upstream) => !upstream.isFailing && !tried.has(upstream));
      const rotated = candidates.map(
        (_, index) => candidates[(index + turn) % candidates.length] as Upstream,
      );
      return rotated.reduce<Upstream | undefined>(
        (best, upstream) => (best && best.inFlight <= upstream.inFlight ? best : upstream),
        undefined,
      );
    },
    begin(upstream) {
      upstream.inFlight += 1;
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        upstream.late += 1;
        onRoom();
      }, LATE_MS);
      return () => {
        clearTimeout(timer);
        upstream.inFlight -= 1;
        if (isLate) upstream.late -= 1;
      };
    },
    capacity(perUpstream) {
      const { well, held } = count();
      return Math.max(1, well * perUpstream) + held;
    },
    partialCapacity(atOnce) {
      const { well, late, held } = count();
      return Math.max(atOnce, Math.min(well, atOnce + late)) + held;
    },
    markFailing(upstream, reason) {
      if (upstream.isFailing || closing.signal.aborted) return;
      upstream.isFailing = true;
      log.warn({ dispatcher: upstream.origin, reason }, 'dispatcher does not accept events');
      onRoom();
      void probeUntilWell(upstream);
    },
    async close() {
      clearTimeout(timer);
      closing.abort();
      const closed = Promise.all(upstreams.map(({ pool }) => pool.close()));
      if (await within(CLOSE_TIMEOUT_MS, closed)) return;
      await Promise.all(upstreams.map(({ pool }) => pool.destroy()));
    },
  };
}

type Target = { origin: string; hostname: string };

async function resolve(url: string): Promise<Target[]> {
  const { protocol, hostname: spelled, port } = new URL(url);
  const hostname = spelled.replace(/^\[|\]$/g, '');
  const suffix = port === '' ? '' : `:${port}`;
  // getaddrinfo has no deadline of its own, and the public port opens only after the first answer.
  const lookedUp = lookup(hostname, { all: true });
  if (!(await within(RESOLVE_TIMEOUT_MS, lookedUp))) throw new Error('the lookup timed out');
  return (await lookedUp).map(({ address, family }) => ({
    origin: `${protocol}//${family === 6 ? `[${address}]` : address}${suffix}`,
    hostname,
  }));
}

/** By the name too: an address may pass to another dispatcher, whose certificate is for another name. */
function isAt(upstream: Upstream, { origin, hostname }: Target): boolean {
  return upstream.origin === origin && upstream.hostname === hostname;
}

function openUpstream({ origin, hostname }: Target): Upstream {
  const pool = new Pool(origin, {
    connections: MAX_CONNECTIONS,
    clientTtl: RENEW_MS,
    connect: connector(hostname),
  });
  return { origin, hostname, pool, inFlight: 0, late: 0, isFailing: false };
}

/**
 * Whatever fails before the connection stands, its TLS handshake included, fails in `connect`: no byte of a request was
 * sent. Without the code, because undici holds requests back that meet a certificate for another name.
 */
function connector(hostname: string): buildConnector.connector {
  // The certificate, if any, is for the name, not for the address it resolved to.
  const servername = isIP(hostname) ? undefined : hostname;
  const connect = buildConnector({ timeout: CONNECT_TIMEOUT_MS, servername });
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error === null) return callback(null, socket);
      callback(Object.assign(new Error(error.message, { cause: error }), { syscall: 'connect' }), null);
    });
}
