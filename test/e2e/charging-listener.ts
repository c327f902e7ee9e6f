/**
 * A listener that charges cards, once per event, with its results in the store. Each charge leaves a line `charged`, and its handler
 * ends when a `Card.Release` comes.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createStoredResults, type Handler, oncePerEvent, runListener } from '@waybill/listener';

const gate = new EventEmitter();

const charge: Handler = async ({ id }, { log }) => {
  const released = once(gate, 'release');
  log.info({ order: id }, 'charged');
  await released;
  return { reply: { type: 'Card.Charged', data: { charge: randomUUID() } } };
};

await runListener({
  service: 'cards',
  handlers: {
    'Card.Charge': oncePerEvent(charge, { store: createStoredResults({ name: 'cards' }) }),
    'Card.Release': () => {
      gate.emit('release');
    },
  },
});
