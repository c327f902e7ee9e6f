/** Which methods a server's routes take, for `OPTIONS` and 405. */
import type { FastifyInstance } from 'fastify';

/** By the path of a request, without its query: the methods that its routes take, in order; none for an unknown path. */
export type AllowedMethods = (path: string) => string[];

/** Before the routes of `app` are added: what they take. */
export function collectAllowedMethods(app: FastifyInstance): AllowedMethods {
  const routes = new Map<string, { pattern: RegExp; methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    // Of no path: the preflights of all.
    if (url === '*') return;
    const route = routes.get(url) ?? { pattern: toPattern(url), methods: new Set(['OPTIONS']) };
    for (const name of [method].flat()) route.methods.add(name);
    // Of a route under a prefix Fastify tells only this one, for the path that ends in a slash.
    if (route.methods.has('HEAD')) route.methods.add('GET');
    routes.set(url, route);
  });
  return (path) => {
    // RFC 9110, section 9.3.7: of the server as a whole.
    const matching = [...routes.values()].filter(({ pattern }) => path === '*' || pattern.test(path));
    return [...new Set(matching.flatMap(({ methods }) => [...methods]))].sort();
  };
}

function toPattern(url: string): RegExp {
  const parts = url.split(/(:[^/]+|\*)/).map((part) => {
    if (part === '*') return '.*';
    return part.startsWith(':') ? '[^/]+' : part.replaceAll(/[^\w/]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`);
}
