import { runTypeScript } from '../bin/plain/run-typescript.mjs';

await runTypeScript('test/run-typescript.fixture.ts');
