import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../harness/free-port.ts';
import { type Rabbitmq, startRabbitmq } from '../harness/rabbitmq.ts';
import { type Service, startService } from '../harness/service.ts';
import { rabbitmqMissing } from '../harness/test-broker.ts';
import { INTERNAL_SECRETS } from './system.ts';

/** As docs/operations.md has them. */
const SHARED = String.raw`waybill\.(events|replies(\.retry)?|dead-letters`;
const permissionsOf = (names: string) => [`^${names}$`, `^(${names}|amq\\.default)$`, `^${names}$`];

describe('services whose users may do no more than they need', { skip: rabbitmqMissing }, () => {
  let rabbitmq: Rabbitmq;
  const services: Service[] = [];
  before(async () => {
    rabbitmq = await startRabbitmq();
    const users = { dispatcher: `${SHARED})`, 'ping-listener': String.raw`${SHARED}|ping(\..*)?)` };
    for (const [user, names] of Object.entries(users)) {
      await rabbitmq.ctl('add_user', user, 'secret');
      await rabbitmq.ctl('set_permissions', user, ...permissionsOf(names));
    }
  });
  after(async () => {
    await Promise.all(services.map((service) => service.stop()));
    await rabbitmq?.stop();
  });

  const as = (user: string) => rabbitmq.url.replace('guest:guest', `${user}:secret`);

  async function start(name: string, env: Record<string, string>): Promise<Service> {
    const service = await startService({ name, env: { INTERNAL_SECRETS, ...env } });
    services.push(service);
    return service;
  }

  it('answer a ping', async () => {
    const port = String(await freePort());
    const [web, ...others] = await Promise.all([
      start('public-web', { DISPATCHER_URLS: `http://127.0.0.1:${port}` }),
      start('dispatcher', { PORT: port, AMQP_URL: as('dispatcher') }),
      start('ping-listener', { AMQP_URL: as('ping-listener') }),
    ]);
    await Promise.all(others.map((service) => service.ready()));
    const response = await fetch(`${web.baseUrl}/ping`);
    assert.equal(response.status, 200, await response.text());
  });

  it('are stopped where they do more', async () => {
    await rabbitmq.ctl('set_permissions', 'ping-listener', ...permissionsOf(`${SHARED}|pong)`));
    const listener = await start('ping-listener', { AMQP_URL: as('ping-listener') });
    await listener.waitForLog(({ reason }) => /ACCESS_REFUSED/.test(String(reason)), 20_000);
  });
});
