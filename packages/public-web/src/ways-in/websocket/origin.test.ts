import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createAllowedOrigins } from './origin.ts';

it('lets in what sends no origin, pages of this server, and what is listed', () => {
  const isAllowed = createAllowedOrigins(['https://shop.example']);
  for (const [origin, host, expected] of [
    [undefined, 'api.example', true],
    ['https://api.example', 'api.example', true],
    ['http://localhost:8080', 'localhost:8080', true],
    ['http://localhost:3000', 'localhost:8080', false],
    ['https://shop.example', 'api.example', true],
    ['https://shop.example.evil.example', 'api.example', false],
    ['http://shop.example', 'api.example', false],
    ['null', 'api.example', false],
    ['', '', false],
    ['https://api.example', undefined, false],
  ] as const)
    assert.equal(isAllowed(origin, host), expected, `${origin} at ${host}`);
  assert.equal(createAllowedOrigins(['*'])('https://any.example', 'api.example'), true);
});
