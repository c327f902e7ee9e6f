import { runListener } from '@waybill/listener';
import { handlers } from './handlers.js';

await runListener({ service: '{{name}}', handlers });
