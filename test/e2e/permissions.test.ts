import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { createManagementApi, type ManagementApi } from '@waybill/test-harness/management-api.ts';
import { type Rabbitmq, startRabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { cannotStartRabbitmq } from '@waybill/test-harness/test-broker.ts';
import { connect } from 'amqplib';
import { servicePermissions } from '../../bin/plain/broker-users.mjs';
import { brokerOf, grpcAddressOf, type System, startSystem } from './system.ts';

it("the documentation has the permissions of the services' users, of a listener's for example", () => {
  const page = readFileSync('docs/operations.md', 'utf8');
  const documented = [...page.matchAll(/^rabbitmqctl set_permissions (\S+) '(.+)' '(.+)' '(.+)'$/gm)]
    .map(([, user = '', configure, write, read]) => ({ user, configure, write, read }))
    .filter(({ user }) => user in servicePermissions);
  assert.deepEqual(
    documented.slice(0, 2).map(({ user }) => user),
    ['dispatcher', 'ping-listener'],
  );
  for (const { user, ...permissions } of documented) assert.deepEqual(permissions, servicePermissions[user]);
});

/** With the users and passwords that docker-compose.yml has. */
describe('services with a user each, which has the permissions that are documented', {
  skip: cannotStartRabbitmq,
}, () => {
  const secrets = mkdtempSync(join(tmpdir(), 'waybill-permissions-'));
  let rabbitmq: Rabbitmq;
  let system: System;
  /** As the administrator. */
  let api: ManagementApi;

  /** What that file has, for the broker of this test. */
  const urlIn = (file: string) =>
    readFileSync(join(secrets, file), 'utf8').replace('rabbitmq:5672', brokerOf(rabbitmq.url));
  const as = (user: string) => ({ AMQP_URL: urlIn(`broker-${user}/amqp-url`) });

  before(async () => {
    execFileSync(process.execPath, ['bin/make-secrets.mjs', secrets]);
    const settings = readFileSync(join(secrets, 'broker/rabbitmq.conf'), 'utf8').trim().split('\n');
    rabbitmq = await startRabbitmq({ settings });
    const url = new URL(rabbitmq.managementUrl);
    const { username, password } = new URL(urlIn('broker/amqp-url'));
    api = createManagementApi({ url: Object.assign(url, { username, password }).href });
    const users = Object.keys(servicePermissions);
    system = await startSystem({
      amqpUrl: rabbitmq.url,
      counts: { 'dataset-generator': 1, 'data-dispatch-listener': 1 },
      envs: Object.fromEntries(users.map((user) => [user, as(user)])),
    });
  });
  after(async () => {
    await system?.stop();
    await rabbitmq?.stop();
    rmSync(secrets, { recursive: true });
  });

  it('answer a ping', async () => {
    const response = await fetch(`${system.publicWebs[0]?.baseUrl}/ping`);
    assert.equal(response.status, 200, await response.text());
  });

  it('send a dataset', async () => {
    const url = grpcAddressOf(system.publicWebs[0] as Service);
    const args = ['bin/dataset-client.mjs', '--url', url, '--amqp', urlIn('broker/amqp-url')];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
    assert.match(stdout, /batches +334, in order, the last one flagged/);
  });

  it('send a dataset to a user whose rights are those on its queue alone, as documented', async (t) => {
    const [, user = '', configure = '', write = '', read = ''] =
      /^rabbitmqctl set_permissions (user123) '(\S+)' '(\S+)' '(\S+)'$/m.exec(
        readFileSync('docs/operations.md', 'utf8'),
      ) ?? [];
    await api.createUser(user, 'secret');
    t.after(() => api.deleteUser(user));
    await api.setPermissions('/', user, { configure, write, read });
    const amqpUrl = `amqp://${user}:secret@${brokerOf(rabbitmq.url)}`;
    const url = grpcAddressOf(system.publicWebs[0] as Service);
    const args = ['bin/dataset-client.mjs', '--url', url, '--amqp', amqpUrl, '--client', user];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
    assert.match(stdout, /batches +334, in order, the last one flagged/);
    assert.equal(await canPublish(amqpUrl, 'waybill.ping'), false);
    const exchanges = await rabbitmq.ctl('list_exchanges', 'name', '--no-table-headers');
    assert.doesNotMatch(exchanges, /user123/, 'its exchange is left behind');
  });

  /** Whether its user may send to any queue by its name. */
  async function canPublish(amqpUrl: string, queue: string): Promise<boolean> {
    const model = await connect(amqpUrl);
    const channel = await model.createConfirmChannel();
    channel.on('error', () => {});
    channel.sendToQueue(queue, Buffer.from('forged'));
    const isConfirmed = await channel.waitForConfirms().then(
      () => true,
      () => false,
    );
    await model.close();
    return isConfirmed;
  }

  it('are the only users, beside an administrator', async () => {
    const users = await rabbitmq.ctl('list_users', '--no-table-headers');
    const expected = Object.keys(servicePermissions).map((name) => `${name}\t[]`);
    assert.deepEqual(users.trim().split('\n').sort(), [...expected, 'waybill\t[administrator]'].sort());
  });

  it('are stopped where they do more', async (t) => {
    const others = servicePermissions.dispatcher as (typeof servicePermissions)[string];
    await api.setPermissions('/', 'ping-listener', others);
    const listener = await startService({ name: 'ping-listener', env: as('ping-listener') });
    t.after(() => listener.stop());
    await listener.waitForLog(({ reason }) => /ACCESS_REFUSED/.test(String(reason)));
  });
});
