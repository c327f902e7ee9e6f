import assert from 'node:assert/strict';
import { it } from 'node:test';
import { BATCH_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { createHttpServer } from '@waybill/common/http/http-server.ts';
import { pino } from 'pino';
import { anyCaller } from '../../admission/caller.fixture.ts';
import { createAccount } from '../../core/account.ts';
import { createAnswerEvent } from '../../core/answer-event.ts';
import { createHeldReplies } from '../../replies/held-replies.ts';
import { createPostEvent } from './post-event.ts';

const event = { specversion: '1.0', id: 'e1', source: '/client', type: 'PingRequest' };

for (const [how, contentType, body] of [
  ['an event', 'application/cloudevents+json', event],
  ['each event of a batch', BATCH_CONTENT_TYPE, [event, event]],
] as const)
  it(`tells the client of ${how} nothing of an error nobody foresaw, and logs it once with its stack`, async () => {
    const lines: Record<string, unknown>[] = [];
    const app = createHttpServer({
      log: pino({ level: 'error' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    });
    app.addHook('onRequest', async (request) => {
      request.caller = anyCaller;
    });
    const thrown = new TypeError('canary');
    const ask = () => Promise.reject(thrown);
    app.post(
      '/events',
      createPostEvent({
        answerEvent: createAnswerEvent({
          ask,
          account: createAccount({ log: app.log }),
          labelOf: () => 'label',
        }),
        held: createHeldReplies(),
        deadlineMs: 1_000,
      }),
    );
    const answer = await app.inject({
      method: 'POST',
      url: '/events',
      headers: { 'content-type': contentType },
      payload: JSON.stringify(body),
    });
    assert.match(answer.body, /"code":"unexpected"/);
    assert.doesNotMatch(answer.body, /canary/);
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.event_id, 'e1');
    assert.match(JSON.stringify(lines[0]?.err), /canary.*post-event-boundary\.test\.ts/);
  });
