#!/usr/bin/env node
/** Takes a listener service that will not come back away from the broker. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/retire-service.ts');
