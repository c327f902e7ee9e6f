import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { createNetwork, dispatch, dispatchRequest, patient, serveRequest } from './mesh.fixture.ts';
import { failure, type Status } from './messages.ts';
import type { CallOptions } from './methods.ts';

const told = ({ code, message }: Status) => `${code} ${message}`;
const output = { type_url: 'type.googleapis.com/acme.Greeting', value: Buffer.from('hello') };

/** A site `a` whose method `shared` Greeter.Greet answers. */
function greeter() {
  const network = createNetwork();
  const site = network.add('a');
  site.registerService('shared', 'Greeter', 'Greet', () => output);
  return { network, site };
}

describe('Serve', () => {
  const missing = { service: null, method_name: '' };
  for (const [changes, message] of [
    [{ namespace: '', ...missing }, '400 namespace is required'],
    [missing, '400 service is required'],
    [{ service: { namespace: 'shared', service_name: '' } }, '400 service is required'],
    [{ method_name: '' }, '400 method_name is required'],
    [{ namespace: 'other' }, "404 namespace 'other' not found"],
    [{ method_name: 'Part' }, "404 method 'Greeter.Part' not found in namespace 'shared'"],
    [
      { service: { namespace: '', service_name: 'Other' } },
      "404 method 'Other.Greet' not found in namespace 'shared'",
    ],
  ] as const)
    it(`answers ${message}`, async () => {
      const answer = await greeter().site.serve(serveRequest(changes), patient);
      assert.deepEqual([told(answer.status), answer.output, answer.executor_id], [message, null, '']);
    });

  it('answers 200 OK with the output, and names itself', async () => {
    const answer = await greeter().site.serve(serveRequest(), patient);
    assert.deepEqual(answer, { status: { code: 200, message: 'OK', details: {} }, output, executor_id: 'a' });
  });

  it('gives the handler the input as it came, and the execution context', async () => {
    const { site } = greeter();
    const calls: unknown[] = [];
    site.registerService('n', 'S', 'M', ({ input, executionContext, namespace, service, method }) => {
      calls.push({ input, executionContext, namespace, service, method });
      return null;
    });
    const service = { namespace: 'n', service_name: 'S' };
    const request = serveRequest({
      namespace: 'n',
      service,
      method_name: 'M',
      execution_context: { a: 'b' },
    });
    assert.equal((await site.serve(request, patient)).output, null);
    const { input } = request;
    assert.deepEqual(calls, [{ input, executionContext: { a: 'b' }, namespace: 'n', service, method: 'M' }]);
  });

  it('asks the registry before it looks for the namespace, and as it is set at run time', async () => {
    const { site } = greeter();
    site.setRegistryValidator(({ service }) => service?.service_name);
    const unregistered = '404 service not registered in registry: Greeter';
    assert.equal(
      told((await site.serve(serveRequest({ namespace: 'other' }), patient)).status),
      unregistered,
    );
    site.setRegistryValidator(() => Promise.reject(new Error('the registry is away')));
    assert.match(told((await site.serve(serveRequest(), patient)).status), /registry: the registry is away$/);
    site.setRegistryValidator(undefined);
    assert.equal((await site.serve(serveRequest(), patient)).status.code, 200);
  });

  it('takes no method for another whose names have the same letters', async () => {
    const { site } = greeter();
    site.registerService('n', 'A.B', 'C', () => output);
    for (const [namespace, service_name, method_name, code] of [
      ['n', 'A.B', 'C', 200],
      ['n', 'A', 'B.C', 404],
      ['n', 'A.B.C', '', 400],
      ['n.A', 'B', 'C', 404],
    ] as const) {
      const request = serveRequest({ namespace, service: { namespace, service_name }, method_name });
      assert.equal((await site.serve(request, patient)).status.code, code);
    }
  });

  it('answers 500 when the handler fails, in whatever way', async () => {
    const { site } = greeter();
    for (const [handler, message] of [
      [() => Promise.reject(new Error('no luck')), '500 handler error: no luck'],
      [() => assert.fail('at once'), '500 handler error: at once'],
      // It runs in this process, so it has run, whatever it says.
      [() => Promise.reject(new AppError('not-accepted', 'busy')), '500 handler error: busy'],
    ] as const) {
      site.registerService('shared', 'Greeter', 'Greet', handler);
      const { status, executor_id } = await site.serve(serveRequest(), patient);
      assert.deepEqual([told(status), executor_id], [message, 'a']);
    }
  });

  it('answers by the deadline when the handler does not', async () => {
    const { site } = greeter();
    site.registerService('shared', 'Greeter', 'Greet', () => new Promise(() => {}));
    const { status } = await site.serve(serveRequest(), { deadlineMs: 10 });
    assert.deepEqual(status, {
      code: 500,
      message: 'the deadline passed',
      details: { code: 'outcome-unknown' },
    });
  });
});

describe('the deadline of a call', () => {
  /** Has `performance.now()` stand still but for what is added to it. */
  function stopClock(t: TestContext) {
    let nowMs = Math.ceil(performance.now());
    t.mock.method(performance, 'now', () => nowMs);
    return {
      advance(ms: number) {
        nowMs += ms;
      },
    };
  }

  it('is one, however many addresses its target has', async (t) => {
    const network = createNetwork();
    const [site, target] = [network.add('a', { checkMs: 60_000 }), network.add('b', { checkMs: 60_000 })];
    const clock = stopClock(t);
    const waits: number[] = [];
    const serve = (_request: unknown, { deadlineMs }: CallOptions) => {
      waits.push(deadlineMs);
      clock.advance(200);
      return Promise.reject(new AppError('not-accepted', 'no connection is made in time'));
    };
    for (const name of ['b', 'bb', 'bbb', 'bbbb']) {
      network.alias(name, { ...target, serve });
      await site.connectTo(`${name}:1`);
    }
    const request = dispatchRequest({ target_collector_id: 'b' });
    const { status } = await site.dispatch(request, { deadlineMs: 500 });
    assert.deepEqual([waits, status.details.code], [[500, 300, 100], 'not-accepted']);
    await network.close();
  });

  it('is one for the registry and the handler', async (t) => {
    const { site } = greeter();
    const clock = stopClock(t);
    const waits: number[] = [];
    site.setRegistryValidator(async () => {
      clock.advance(200);
      return undefined;
    });
    site.registerService('shared', 'Greeter', 'Greet', ({ deadlineMs }) => {
      waits.push(deadlineMs);
      return null;
    });
    assert.equal((await site.serve(serveRequest(), { deadlineMs: 500 })).status.code, 200);
    assert.deepEqual(waits, [300]);
  });

  it('holds where the registry does not answer: the call was not accepted', async () => {
    const { site } = greeter();
    site.setRegistryValidator(() => new Promise(() => {}));
    for (const { status } of [
      await site.serve(serveRequest(), { deadlineMs: 10 }),
      await site.dispatch(dispatchRequest({ namespace: 'elsewhere' }), { deadlineMs: 10 }),
    ])
      assert.deepEqual(
        [told(status), status.details.code],
        ['500 the registry of services did not answer', 'not-accepted'],
      );
  });
});

describe('Connect', () => {
  const request = { address: 'elsewhere:1', namespaces: ['z', 'shared', 'a', 'shared'], metadata: {} };

  it('answers 400 without an address, or with one that is none', async () => {
    const { site } = greeter();
    for (const [address, message] of [
      ['', '400 address is required'],
      ['unix:/run/x.sock', '400 address must be host:port'],
      ['dns:///elsewhere:1', '400 address must be host:port'],
      ['a:1', '400 this collector does not connect to itself'],
    ] as const)
      assert.equal(told((await site.accept({ ...request, address })).status), message);
    assert.deepEqual(await site.listConnections(), []);
  });

  it("answers 200 with the shared namespaces in the caller's order, and its own id", async () => {
    const { network, site } = greeter();
    network.add('elsewhere', { namespaces: [] });
    await site.setNamespaces(['a', 'b', 'shared']);
    const { status, connection_id, ...answer } = await site.accept(request);
    assert.equal(told(status), '200 Connected with 2 shared namespaces');
    assert.deepEqual(answer, { shared_namespaces: ['shared', 'a'], target_collector_id: 'a' });
    const [connection] = await site.listConnections();
    assert.equal(connection?.connectionId, connection_id);
    assert.equal(connection?.status, 'ACTIVE');
    await network.close();
  });

  it('keeps the connection of a peer that connects again, with its new namespaces', async () => {
    const { network, site } = greeter();
    network.add('elsewhere', { namespaces: [] });
    const first = await site.accept(request);
    const second = await site.accept({ ...request, namespaces: [] });
    assert.equal(second.connection_id, first.connection_id);
    assert.equal(told(second.status), '200 Connected with 0 shared namespaces');
    const answer = await dispatch(site, { method_name: 'Part' });
    assert.equal(told(answer.status), "404 method 'Greeter.Part' not found in namespace 'shared'");
    await network.close();
  });

  it('refuses more connections than a site keeps', async () => {
    const { network, site } = greeter();
    for (let port = 1; port <= 256; port += 1)
      assert.equal((await site.accept({ ...request, address: `elsewhere:${port}` })).status.code, 200);
    assert.equal(
      told((await site.accept({ ...request, address: 'elsewhere:257' })).status),
      '500 too many connections',
    );
    await network.close();
  });
});

describe('Dispatch', () => {
  it('answers 400 as Serve does', async () => {
    const { site } = greeter();
    assert.equal(told((await dispatch(site, { namespace: '' })).status), '400 namespace is required');
    assert.equal(told((await dispatch(site, { service: null })).status), '400 service is required');
    assert.equal(told((await dispatch(site, { method_name: '' })).status), '400 method_name is required');
  });

  it('answers 404 where nobody has the namespace, or is connected', async () => {
    const { site } = greeter();
    const nobody = await dispatch(site, { namespace: 'X' });
    assert.equal(told(nobody.status), "404 no collector found for namespace 'X'");
    assert.equal(nobody.handled_by_collector_id, '');
    const stranger = await dispatch(site, { target_collector_id: 'stranger' });
    assert.equal(told(stranger.status), "404 no connection to collector 'stranger'");
  });

  it('runs here what is served here, also when this site is the target', async () => {
    const { network, site } = greeter();
    network.add('b').registerService('shared', 'Greeter', 'Greet', () => assert.fail('not here'));
    await site.connectTo('b:1');
    for (const target_collector_id of ['', 'a']) {
      const answer = await dispatch(site, { target_collector_id });
      assert.deepEqual(
        [told(answer.status), answer.output, answer.handled_by_collector_id],
        ['200 OK', output, 'a'],
      );
    }
    assert.deepEqual(network.hops, []);
    await network.close();
  });

  it('runs elsewhere what is served there, from either side of a connection', async () => {
    const { network, site } = greeter();
    const other = network.add('b');
    other.registerService('shared', 'Greeter', 'Part', ({ executionContext }) => ({
      type_url: String(executionContext.tone),
      value: Buffer.alloc(0),
    }));
    await site.connectTo('b:1');
    const there = await dispatch(site, { method_name: 'Part', routing_hints: { tone: 'sad' } });
    assert.deepEqual([there.handled_by_collector_id, there.output?.type_url], ['b', 'sad']);
    assert.equal((await dispatch(other)).handled_by_collector_id, 'a');
    assert.equal((await dispatch(other, { target_collector_id: 'a' })).handled_by_collector_id, 'a');
    await network.close();
  });

  it('answers what the peer said, word for word, and runs nothing again that has run', async () => {
    const network = createNetwork();
    const [site, failing, other] = [network.add('a'), network.add('b'), network.add('c')];
    failing.registerService('shared', 'Greeter', 'Greet', () => assert.fail('no luck'));
    await site.connectTo('b:1');
    for (const target_collector_id of ['', 'b']) {
      const answer = await dispatch(site, { target_collector_id });
      assert.equal(told(answer.status), '500 handler error: no luck');
      assert.equal(answer.handled_by_collector_id, 'b');
      const missing = await dispatch(site, { target_collector_id, method_name: 'Part' });
      assert.equal(told(missing.status), "404 method 'Greeter.Part' not found in namespace 'shared'");
      assert.deepEqual(missing.status.details, {});
    }
    other.registerService('shared', 'Greeter', 'Greet', () => assert.fail('not here'));
    await site.connectTo('c:1');
    network.setFault('a', 'b', 'lose-answer');
    for (const target_collector_id of ['', 'b']) {
      const { status } = await dispatch(site, { target_collector_id });
      assert.equal(told(status), "500 collector 'b' did not answer: connection lost");
    }
    await network.close();
  });

  it('runs elsewhere what provably did not run, and says so where there is nobody else', async () => {
    const network = createNetwork();
    const [site, unreachable, other] = [network.add('a'), network.add('b'), network.add('c')];
    for (const peer of [unreachable, other]) peer.registerService('shared', 'Greeter', 'Greet', () => output);
    await site.connectTo('b:1');
    network.setFault('a', 'b', 'refuse');
    const alone = await dispatch(site);
    assert.equal(told(alone.status), "500 collector 'b' cannot be reached: connection refused");
    assert.equal(alone.status.details.code, 'not-accepted');
    await site.connectTo('c:1');
    for (let calls = 0; calls < 4; calls += 1)
      assert.equal((await dispatch(site)).handled_by_collector_id, 'c');
    await network.close();
  });

  it('says that it is not accepted where one site does not accept it, and no other serves it', async () => {
    const network = createNetwork();
    const runMethod = () => Promise.reject(new AppError('not-accepted', 'the broker is away'));
    const [away, other] = [network.add('a', { runMethod }), network.add('b')];
    await away.connectTo('b:1');
    const way = serveRequest({ execution_context: { 'waybill-hops': '8' } });
    for (const { status } of [await dispatch(away), await dispatch(other), await away.serve(way, patient)])
      assert.deepEqual([told(status), status.details.code], ['500 the broker is away', 'not-accepted']);
    await network.close();
  });

  for (const code of ['not-accepted', 'unroutable', 'too-large', 'outcome-unknown'] as const)
    it(`runs nothing elsewhere that has run, when its handler throws '${code}'`, async () => {
      const network = createNetwork();
      const runs: string[] = [];
      for (const name of ['a', 'b', 'c'])
        network.add(name).registerService('shared', 'Greeter', name === 'c' ? 'Part' : 'Greet', () => {
          runs.push(name);
          throw new AppError(code, 'no luck');
        });
      const site = network.add('d');
      for (const name of ['a', 'b', 'c']) await site.connectTo(`${name}:1`);
      for (const [target_collector_id, method_name] of [
        ['', 'Greet'],
        ['', 'Part'],
        ['b', 'Greet'],
      ] as const) {
        runs.length = 0;
        const answer = await dispatch(site, { target_collector_id, method_name });
        assert.deepEqual(
          [told(answer.status), runs],
          ['500 handler error: no luck', [answer.handled_by_collector_id]],
        );
      }
      await network.close();
    });

  it('tells of a handler that failed no code that says whether a call has run', async () => {
    const { site } = greeter();
    for (const [thrown, code] of [
      ['not-accepted', 'handler-failed'],
      ['outcome-unknown', 'handler-failed'],
      ['too-large', 'handler-failed'],
      ['invalid-data', 'invalid-data'],
    ] as const) {
      site.registerService('shared', 'Greeter', 'Greet', () =>
        Promise.reject(new AppError(thrown, 'no luck')),
      );
      assert.equal((await dispatch(site)).status.details.code, code);
    }
  });

  it('tries another address of its target where that cannot be reached, and takes its answer at the first', async () => {
    const network = createNetwork();
    const [site, target] = [network.add('a'), network.add('b')];
    for (const name of ['bb', 'bbb']) network.alias(name, target);
    for (const name of ['b', 'bb', 'bbb']) await site.connectTo(`${name}:1`);
    for (const name of ['b', 'bbb']) network.setFault('a', name, 'refuse');
    const { status } = await dispatch(site, { target_collector_id: 'b' });
    assert.equal(told(status), "404 method 'Greeter.Greet' not found in namespace 'shared'");
    assert.deepEqual(network.hops, ['a>b', 'a>bb']);
    await network.close();
  });

  it('runs elsewhere what is more than one site takes, and says so where nobody else serves it', async () => {
    const network = createNetwork();
    const runMethod = () => Promise.reject(new AppError('too-large', 'more than an event holds'));
    const [site, small] = [network.add('a'), network.add('b', { runMethod })];
    const [other, last] = [network.add('c'), network.add('d')];
    await site.connectTo('b:1');
    await site.connectTo('c:1');
    for (const at of [site, small, other])
      assert.deepEqual(
        (await dispatch(at)).status,
        failure(400, 'more than an event holds', { code: 'too-large' }),
      );
    last.registerService('shared', 'Greeter', 'Greet', () => output);
    await other.connectTo('d:1');
    for (const at of [site, small, other]) assert.equal((await dispatch(at)).handled_by_collector_id, 'd');
    await network.close();
  });

  it('asks every peer that has not said yet who it is', async () => {
    const network = createNetwork();
    const site = network.add('a');
    const gate = Promise.withResolvers<void>();
    for (const name of ['b', 'c']) {
      const peer = network.add(name);
      const accept: typeof peer.accept = (request) => gate.promise.then(() => peer.accept(request));
      network.alias(name, { ...peer, accept });
      await site.accept({ address: `${name}:1`, namespaces: ['shared'], metadata: {} });
      if (name === 'c') peer.registerService('shared', 'Greeter', 'Greet', () => output);
    }
    assert.equal(told((await dispatch(site)).status), '200 OK');
    assert.deepEqual(network.hops, ['a>b', 'a>c']);
    gate.resolve();
    await network.close();
  });

  it('asks no second peer what is more than a message to one holds', async () => {
    const network = createNetwork();
    const site = network.add('a');
    const serve = () => Promise.reject(new AppError('too-large', 'more than a message holds'));
    for (const name of ['b', 'c']) {
      network.alias(name, { ...network.add(name), serve });
      await site.connectTo(`${name}:1`);
    }
    const { status } = await dispatch(site);
    assert.deepEqual(status, failure(400, 'more than a message holds', { code: 'too-large' }));
    assert.deepEqual(network.hops, ['a>b']);
    await network.close();
  });

  it('takes the peer with the fewest calls in flight first, and equals in turn', async () => {
    const network = createNetwork();
    const site = network.add('a');
    const stalled = Promise.withResolvers<null>();
    const gate = Promise.withResolvers<null>();
    const answers = { b: () => stalled.promise, c: () => gate.promise, d: () => gate.promise };
    for (const [id, handler] of Object.entries(answers)) {
      network.add(id).registerService('shared', 'Greeter', 'Greet', handler);
      await site.connectTo(`${id}:1`);
    }
    const [waiting, ...learning] = [dispatch(site), dispatch(site), dispatch(site)];
    gate.resolve(null);
    await Promise.all(learning);
    const handled: string[] = [];
    for (let calls = 0; calls < 10; calls += 1) handled.push((await dispatch(site)).handled_by_collector_id);
    for (const id of ['c', 'd']) assert.equal(handled.filter((one) => one === id).length, 5);
    stalled.resolve(null);
    assert.equal((await waiting)?.handled_by_collector_id, 'b');
    await network.close();
  });

  it('asks a peer that may have frozen for nothing that another is known to serve, until that one has much to do', async () => {
    const network = createNetwork();
    const site = network.add('a');
    const gate = Promise.withResolvers<null>();
    let calls = 0;
    const handle = () => {
      calls += 1;
      return calls === 1 ? null : gate.promise;
    };
    for (const id of ['b', 'c']) {
      network.add(id).registerService('shared', 'Greeter', 'Greet', handle);
      await site.connectTo(`${id}:1`);
    }
    await dispatch(site);
    const waiting = Array.from({ length: 11 }, () => dispatch(site));
    gate.resolve(null);
    const answers = await Promise.all(waiting);
    const handled = answers.map((answer) => answer.handled_by_collector_id);
    assert.deepEqual(handled, [...Array(10).fill('b'), 'c']);
    await network.close();
  });

  it('asks a peer itself that has run a call which went over another', async () => {
    const network = createNetwork();
    const [site, other] = [network.add('a'), network.add('b')];
    network.add('c').registerService('shared', 'Greeter', 'Greet', () => null);
    for (const address of ['b:1', 'c:1']) await site.connectTo(address);
    await other.connectTo('c:1');
    for (let call = 0; call < 3; call += 1) assert.equal((await dispatch(site)).handled_by_collector_id, 'c');
    assert.deepEqual(network.hops, ['a>b', 'b>c', 'a>c', 'a>c']);
    await network.close();
  });

  it('gives a peer no longer than its caller waits', async () => {
    const network = createNetwork();
    const [site, peer] = [network.add('a'), network.add('b')];
    const deadlines: number[] = [];
    peer.registerService('shared', 'Greeter', 'Greet', ({ deadlineMs }) => {
      deadlines.push(deadlineMs);
      return null;
    });
    await site.connectTo('b:1');
    await dispatch(site);
    assert.ok((deadlines[0] as number) <= patient.deadlineMs, String(deadlines));
    assert.ok((deadlines[0] as number) > patient.deadlineMs - 10_000, String(deadlines));
    await network.close();
  });
});
