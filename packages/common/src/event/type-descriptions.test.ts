import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTypeDescriptions, placedAt } from './type-descriptions.ts';

describe('descriptions of types', () => {
  it('are read from JSON', () => {
    const types = { 'Order.Place': { data: { type: 'object' } }, Ping: {} };
    assert.deepEqual(parseTypeDescriptions(JSON.stringify(types)), types);
  });

  for (const [name, text] of Object.entries({
    'no JSON': '{',
    'an array': '[]',
    'a type that is none': '{"a b":{}}',
    'a description that is no object': '{"A":1}',
    'a schema that is no object': '{"A":{"data":true}}',
    'a member that is none': '{"A":{"schema":{}}}',
    'too many': JSON.stringify(Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`T${i}`, {}]))),
    'too long': JSON.stringify({ A: { data: { description: 'x'.repeat(2 ** 21) } } }),
  }))
    it(`are refused: ${name}`, () => {
      assert.throws(() => parseTypeDescriptions(text), { code: 'invalid-config' });
    });

  it('have references that lead to where they are placed', () => {
    const schema = {
      ...{ $schema: 'https://json-schema.org/draft/2020-12/schema', $id: 'https://example.com/tree' },
      properties: {
        left: { $ref: '#' },
        names: { items: [{ $ref: '#/$defs/name' }] },
        far: { $ref: 'x#/y' },
      },
      $defs: { name: { type: 'string' } },
    };
    assert.deepEqual(placedAt('#/components/schemas/Tree', schema), {
      properties: {
        left: { $ref: '#/components/schemas/Tree' },
        names: { items: [{ $ref: '#/components/schemas/Tree/$defs/name' }] },
        far: { $ref: 'x#/y' },
      },
      $defs: { name: { type: 'string' } },
    });
  });
});
