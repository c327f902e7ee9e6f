/** Starts a service, says where it is, and waits to be killed. */
import { startService } from './service.ts';

const service = await startService({
  name: 'stand-in',
  main: 'packages/test-harness/src/service.fixture.ts',
});
console.log(service.baseUrl);
