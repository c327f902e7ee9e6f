#!/usr/bin/env node
/** Shows and makes connections of a site of the mesh, and calls methods over it. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/mesh.ts');
