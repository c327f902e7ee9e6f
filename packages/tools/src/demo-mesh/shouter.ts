/** A listener of the demo of the mesh, which two of its sites have. */
import { meshMethod, runListener } from '@waybill/listener';
import { stringValue } from '../string-value.ts';

await runListener({
  service: 'shouter',
  handlers: {
    'acme.Shouter.Shout': meshMethod({
      input: stringValue,
      output: stringValue,
      handle: (text) => text.toUpperCase(),
    }),
  },
});
