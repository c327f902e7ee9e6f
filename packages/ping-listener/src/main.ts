/** ping-listener: answers `PingRequest` with `PingResponse`. The example of how a listener is written. */
import { createListener } from '@waybill/listener/create-listener.ts';
import { ping } from './ping.ts';

await createListener({ service: 'ping', handlers: { PingRequest: ping } });
