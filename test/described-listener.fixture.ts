/** A listener whose types are described. */
import { defineHandlers, jsonSchema, runListener } from '@waybill/listener';
import * as v from 'valibot';

const tree = { type: 'object', properties: { name: { type: 'string' }, left: { $ref: '#' } } };

export const handlers = defineHandlers({
  'Tree.Walk': { schema: jsonSchema(tree), handle: () => ({ reply: { type: 'Tree.Walked' } }) },
  'Tree.Cut': { schema: v.object({}), handle: () => ({ reply: { type: 'Tree.Fell' } }) },
  'Tree.See': () => ({ reply: { type: 'Tree.Seen' } }),
});

if (import.meta.main) await runListener({ service: 'trees', handlers });
