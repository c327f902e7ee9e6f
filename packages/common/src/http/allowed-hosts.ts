/**
 * Which names a server is called by, against DNS rebinding: a web page of `evil.example` has that name resolve to this
 * server's address, and is then of the same origin as the server in the eyes of its visitor's browser, which may well
 * reach what the page's author cannot. Such a request names `evil.example` as its host.
 *
 * A page cannot come from a name that nobody can register, nor from an address that is not its author's. So addresses,
 * names without a dot (`localhost`, those of containers), and names under the top-level domains that public DNS never serves
 * (RFC 6761, RFC 6762, ICANN's `internal`) are taken by all; other names have to be listed.
 */
import { isIP } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../errors.ts';

const UNREGISTRABLE = /^(?:[^.]+|.+\.(?:localhost|local|internal|test))$/;

/** Whether a `Host` header, or none, is one to answer. */
export type IsAllowedHost = (header: string | undefined) => boolean;

/** Creates {@link IsAllowedHost}. `names` are further names; `*.` before one stands for any below it, and `*` for all. */
export function createAllowedHosts(names: readonly string[]): IsAllowedHost {
  const exact = new Set(names);
  const suffixes = names.filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  let lastAllowed: string | undefined;

  function isAllowed(header: string): boolean {
    const name = nameOf(header);
    return (
      isIP(name) !== 0 ||
      UNREGISTRABLE.test(name) ||
      exact.has('*') ||
      exact.has(name) ||
      suffixes.some((suffix) => name.endsWith(suffix))
    );
  }

  return (header) => {
    // Nearly all requests name the same.
    if (header === undefined || header === lastAllowed) return true;
    if (!isAllowed(header)) return false;
    lastAllowed = header;
    return true;
  };
}

/** Answers 421 `misdirected` to requests for a host that `isAllowed` does not take, but for health, which balancers ask. */
export function refuseOtherHosts(app: FastifyInstance, isAllowed: IsAllowedHost): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const isRefused = !isAllowed(request.headers.host) && !request.url.startsWith('/health/');
    done(
      isRefused
        ? new AppError('misdirected', 'this host name is not served here (setting ALLOWED_HOSTS)')
        : undefined,
    );
  });
}

/** Without the port, a dot at the end, or the brackets of an IPv6 address. */
function nameOf(header: string): string {
  const [, v6, name = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header) ?? [];
  return v6 ?? name.replace(/\.$/, '').toLowerCase();
}
