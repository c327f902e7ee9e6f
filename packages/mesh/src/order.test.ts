import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveRequest } from './mesh.fixture.ts';
import type { ServeRequest } from './messages.ts';
import type { Neighbour } from './neighbour.ts';
import { createOrder } from './order.ts';

const neighbourAt = (address: string) =>
  ({ address, isSilent: () => false, inFlight: () => 0 }) as Partial<Neighbour> as Neighbour;
const requestOf = (namespace: string, service_name: string, method_name: string) =>
  serveRequest({ namespace, service: { namespace, service_name }, method_name });

test('what a neighbour said of one method is not remembered of another whose names have the same letters', () => {
  const first = neighbourAt('a:1');
  /** Who is asked first for a method, when `first` has said that it does not serve another. */
  const askedFirst = (request: ServeRequest) => {
    const order = createOrder();
    order.note(first, requestOf('n', 'A', 'B.C'), false);
    return order.sort([first, neighbourAt('b:1')], request)[0]?.address;
  };
  assert.equal(askedFirst(requestOf('n', 'A', 'B.C')), 'b:1');
  for (const other of [requestOf('n', 'A.B', 'C'), requestOf('n A', 'B', 'C'), requestOf('n', 'A', 'B')])
    assert.equal(askedFirst(other), 'a:1');
});
