/** A listener whose replies are odd in one way each, for what must come through the whole system unchanged. */
import { once } from 'node:events';
import { jsonSchema, runListener } from '@waybill/listener';

const type = 'Case.Answer';

await runListener({
  service: 'cases',
  handlers: {
    'Case.Buffer': () => ({
      reply: { type, data: Buffer.from([1, 2, 3]), datacontenttype: 'application/octet-stream' },
    }),
    'Case.Map': () => ({ reply: { type, data: new Map([[1, 2]]) } }),
    'Case.Empty': () => ({ reply: { type } }),
    'Case.Ct': () => ({ reply: { type, data: { a: 1 }, datacontenttype: 'application/vnd.acme+json' } }),
    'Case.Typed': {
      schema: jsonSchema<{ n: number }>({ type: 'object', properties: { n: { type: 'number' } } }),
      handle: ({ data }) => ({ reply: { type, data: data.n } }),
    },
    'Case.Euros': () => ({ reply: { type, subject: '€'.repeat(2_048) } }),
    /** Fails once, and then does not end. */
    async 'Case.Stuck'(_event, { attempt, signal }) {
      if (attempt === 1) throw Object.assign(new Error('no money'), { code: 'card-declined' });
      await once(signal, 'abort');
    },
    /** Fails once, so that the event has been through the retry queue. */
    'Case.Rounded'({ data }, { attempt }) {
      if (attempt === 1) throw new Error('not yet');
      return { reply: { type, data } };
    },
  },
});
