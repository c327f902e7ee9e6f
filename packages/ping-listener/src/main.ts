/** ping-listener: answers `PingRequest` with `PingResponse`. The example of how a listener is written. */
import { runListener } from '@waybill/listener';
import { ping } from './ping.ts';

await runListener({ service: 'ping', handlers: { PingRequest: ping } });
