#!/usr/bin/env node
/** Writes down what listeners say of the data of their types. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/describe-types.ts');
