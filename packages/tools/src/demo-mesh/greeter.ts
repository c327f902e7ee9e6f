/** A listener of the demo of the mesh. */
import { meshMethod, runListener } from '@waybill/listener';
import { stringValue } from '../string-value.ts';

await runListener({
  service: 'greeter',
  handlers: {
    'acme.Greeter.Greet': meshMethod({
      input: stringValue,
      output: stringValue,
      handle: (name) => `Hello, ${name || 'stranger'}`,
    }),
  },
});
