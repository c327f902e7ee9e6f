#!/usr/bin/env node
/** Shows how a running Waybill is: its tiers, who takes what, its queues and its dead letters. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/status.ts');
