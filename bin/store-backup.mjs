#!/usr/bin/env node
/** Copies the SQLite file of a store, and makes a copy fit to start a store from again. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/store-backup.ts');
