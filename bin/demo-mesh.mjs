#!/usr/bin/env node
/** `npm run demo:mesh`: starts three sites, shows calls over their mesh and stops them. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/demo-mesh.ts');
