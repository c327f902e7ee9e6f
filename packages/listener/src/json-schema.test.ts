import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { InvalidDataError, MAX_DATA_ERRORS } from './invalid-data.ts';
import { jsonSchema } from './json-schema.ts';

/** What the sender of `data` is told of it. */
function errorsOf(schema: object, data: unknown) {
  const result = jsonSchema(schema)['~standard'].validate(data) as StandardSchemaV1.Result<unknown>;
  assert.ok(result.issues, 'it is valid');
  return new InvalidDataError(result.issues).errors;
}

describe('a JSON Schema', () => {
  it('points at members that are missing or too many, and names them as RFC 6901 does', () => {
    const schema = {
      type: 'object',
      properties: { 'a/b~c d': { type: 'object', required: ['in'], additionalProperties: false } },
      required: ['x'],
    };
    const pointers = errorsOf(
      { ...schema, properties: { 'a/b~c d': { type: 'object', properties: {}, required: ['in'] } } },
      { 'a/b~c d': {} },
    ).map(({ pointer }) => pointer);
    assert.deepEqual(new Set(pointers), new Set(['#/x', '#/a~1b~0c%20d/in']));
    const closed = { type: 'object', properties: {}, additionalProperties: false };
    assert.deepEqual(errorsOf(closed, { extra: 1 }), [
      { pointer: '#/extra', detail: 'must NOT have additional properties' },
    ]);
  });

  it('knows the formats of its draft', () => {
    const errors = errorsOf({ type: 'string', format: 'date-time' }, 'yesterday');
    assert.deepEqual(errors, [{ pointer: '#', detail: 'must match format "date-time"' }]);
  });

  it('that has a misspelt keyword or format is refused', () => {
    for (const schema of [
      { type: 'object', require: ['x'] },
      { type: 'string', format: 'datetime' },
      { type: 'strnig' },
    ])
      assert.throws(() => jsonSchema(schema), { code: 'invalid-config', message: /no JSON Schema/ });
  });

  it('may have the id of another', () => {
    for (const minimum of [1, 2])
      assert.equal(errorsOf({ $id: 'https://example.com/amount', type: 'number', minimum }, 0).length, 1);
  });

  it('tells no more faults than a reply holds, however many there are, and however long they are', () => {
    const items = { type: 'object', additionalProperties: false };
    const data = Array.from({ length: 10_000 }, (_, i) => ({ ['x'.repeat(1_000)]: i }));
    const errors = errorsOf({ type: 'array', items }, data);
    assert.equal(errors.length, MAX_DATA_ERRORS);
    assert.ok(JSON.stringify(errors).length < 20_000);
  });

  it('has itself as its description', () => {
    const schema = { type: 'object', title: 'Order' };
    const { jsonSchema: described } = jsonSchema(schema)['~standard'];
    assert.deepEqual(described.input({ target: 'draft-2020-12' }), schema);
  });
});
