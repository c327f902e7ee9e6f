/**
 * `GET /try`: in development a page that is a client that stays, by the very `@waybill/client` that others install. Its modules are
 * served as browsers take them, without their types.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';

/** Only what comes from this server is loaded, run, or called. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};

const PAGE = new URL('../../../try/', import.meta.url);
const FILES = {
  '/try': ['index.html', 'text/html; charset=utf-8'],
  '/try/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/try/style.css': ['style.css', 'text/css; charset=utf-8'],
} as const;
const JAVASCRIPT = 'text/javascript; charset=utf-8';

/** Adds the page, if `isShown`. */
export function addTryPage(app: FastifyInstance, { isShown }: { isShown: boolean }): void {
  if (!isShown) return;
  for (const [path, [file, type]] of Object.entries(FILES))
    app.get(path, { schema: { hide: true } }, async (_request, reply) =>
      reply.headers({ ...HEADERS, 'content-type': type }).send(readFileSync(new URL(file, PAGE))),
    );
  let modules: Map<string, string> | undefined;
  app.get('/try/client/:file', { schema: { hide: true } }, async (request, reply) => {
    modules ??= readClient();
    const module = modules.get((request.params as { file: string }).file);
    if (module === undefined) return reply.callNotFound();
    return reply.headers({ ...HEADERS, 'content-type': JAVASCRIPT }).send(module);
  });
}

/** The modules of the client by their names as JavaScript, whether they are sources here or were built. */
function readClient(): Map<string, string> {
  const folder = dirname(fileURLToPath(import.meta.resolve('@waybill/client')));
  const files = readdirSync(folder).filter((file) => /^[\w-]+\.(ts|js)$/.test(file));
  return new Map(
    files.map((file) => {
      const text = readFileSync(`${folder}/${file}`, 'utf8');
      const script = file.endsWith('.ts') ? stripTypeScriptTypes(text) : text;
      return [file.replace(/\.ts$/, '.js'), script.replace(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'")];
    }),
  );
}
