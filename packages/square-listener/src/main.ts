/** square-listener: answers `nimbus.sq`, what clients of `nimbus.NimbusService` send by the name of `sq`, with the square. */
import { runListener } from '@waybill/listener';
import { square } from './square.ts';

await runListener({ service: 'square', handlers: { 'nimbus.sq': square } });
