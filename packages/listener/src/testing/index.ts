/** The testing kit: a handler alone, and a whole listener on a broker in memory, with time in the hands of the test. */
export { handleEvent } from './handle-event.ts';
export {
  createTestListener,
  type DeadLetter,
  type TestListener,
} from './test-listener.ts';
