/** `GET /`: in development a page of where to go, what can be sent and what came last; else the way to the docs. */
import type { TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import type { FastifyInstance } from 'fastify';
import type { RecentEvent, RecentEvents } from '../../core/recent-events.ts';
import { examplesOf } from './describe-types.ts';

/** Nothing is loaded, nor run: all of the page may be of strangers' making. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};

const LINKS = {
  '/docs': 'try it',
  '/try': 'a client that stays',
  '/openapi.json': 'OpenAPI',
  '/asyncapi.json': 'AsyncAPI',
  '/health/ready': 'health',
};

/** @param options.recent undefined where it is not development */
export function addLandingPage(
  app: FastifyInstance,
  { types, recent }: { types: () => TypeDescriptions; recent?: Pick<RecentEvents, 'list'> | undefined },
): void {
  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    if (!recent) return reply.redirect('/docs');
    const page = renderPage({
      url: `${request.protocol}://${request.host}/`,
      types: types(),
      events: recent.list(),
    });
    return reply.headers({ ...HEADERS, 'content-type': 'text/html; charset=utf-8' }).send(page);
  });
}

function renderPage({
  url,
  types,
  events,
}: {
  /** Of this page. */
  url: string;
  types: TypeDescriptions;
  events: readonly RecentEvent[];
}): string {
  const links = Object.entries(LINKS).map(([path, name]) => html`<a href="${path}">${name}</a>`);
  const commands = Object.entries(types).map(([type, description]) => {
    const [data] = examplesOf(description);
    const body = JSON.stringify({ type, data });
    return html`<pre>curl ${url} -H 'content-type: application/json' -d '${body.replaceAll("'", "'\\''")}'</pre>`;
  });
  const rows = events.map(
    ({ time, type, status, durationMs, id }) =>
      html`<tr><td>${time.toISOString().slice(11, 23)}</td><td>${type}</td><td>${status}</td><td>${Math.round(durationMs)} ms</td><td>${id}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Waybill</title><style>${STYLE}</style></head>
<body><h1>Waybill</h1><p>${links.join(' · ')}</p>
<h2>Types</h2>${commands.join('\n') || '<p>None is known by name: any may be sent that a listener takes.</p>'}
<h2>Last events</h2>${rows.length > 0 ? `<table><tr><th>UTC</th><th>type</th><th>status</th><th>took</th><th>id</th></tr>${rows.join('\n')}</table>` : '<p>None yet.</p>'}
<p>The way of one: <code>node bin/trace.mjs --event ID</code>, or <code>npx waybill trace --event ID</code></p></body></html>
`;
}

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}pre,td,code{font-family:ui-monospace,monospace;font-size:.85em}pre{background:#8881;overflow:auto;padding:.5rem}td,th{padding-right:1.5rem;text-align:left}:root{color-scheme:light dark}';

/** Text with what is put into it escaped. */
function html(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return String.raw({ raw: parts }, ...values.map((value) => escaped(String(value))));
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
