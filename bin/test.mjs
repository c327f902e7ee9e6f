/** `npm test`: every test of the project, or some. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/test-harness/src/run-tests.ts');
