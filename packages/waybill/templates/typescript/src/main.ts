import { runListener } from '@waybill/listener';
import { handlers } from './handlers.ts';

await runListener({ service: '{{name}}', handlers });
