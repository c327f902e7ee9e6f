import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Fastify from 'fastify';
import { addTryPage } from './try-page.ts';

describe('GET /try', () => {
  it('is not there but in development', async () => {
    const app = Fastify();
    addTryPage(app, { isShown: false });
    for (const path of ['/try', '/try/page.js', '/try/client/create-client.js'])
      assert.equal((await app.inject(path)).statusCode, 404, path);
  });

  it('is a page with nothing inline, whose policy lets it load, run and call what is of this server alone', async () => {
    const app = Fastify();
    addTryPage(app, { isShown: true });
    const { body, headers } = await app.inject('/try');
    assert.match(body, /^<!doctype html>/);
    assert.doesNotMatch(body, /<script(?![^>]* src=)|<style|\son\w+=|\sstyle=/);
    const policy =
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    assert.equal(headers['content-security-policy'], policy);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    for (const [, path = ''] of body.matchAll(/(?:src|href)="(\/try\/[^"]+)"/g))
      assert.equal((await app.inject(path)).headers['content-security-policy'], policy, path);
  });

  it('has each module of the client as JavaScript, and no other file', async () => {
    const app = Fastify();
    addTryPage(app, { isShown: true });
    const seen = new Set<string>();
    const left = ['create-client.js'];
    for (let file = left.pop(); file; file = left.pop()) {
      if (seen.has(file)) continue;
      seen.add(file);
      const { statusCode, body, headers } = await app.inject(`/try/client/${file}`);
      assert.deepEqual([statusCode, headers['content-type']], [200, 'text/javascript; charset=utf-8'], file);
      assert.doesNotMatch(body, /\.ts'|import type/);
      for (const [, imported = ''] of body.matchAll(/from '\.\/([\w.-]+)'/g)) left.push(imported);
    }
    assert.ok(seen.size > 10);
    for (const file of ['create-client.test.js', '..%2Fpackage.json', 'other.js'])
      assert.equal((await app.inject(`/try/client/${file}`)).statusCode, 404, file);
  });
});
