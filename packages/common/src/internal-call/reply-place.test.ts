import assert from 'node:assert/strict';
import { it } from 'node:test';
import { placeOf, slotId } from './reply-place.ts';

const mailbox = 'a'.repeat(22);

it('a slot is read as it was written, whatever the id of its event', () => {
  for (const eventId of ['1', 'a.b', 'ü/%2E', '\u{1F600}'.repeat(64), '\uffe8'.repeat(128)]) {
    const id = slotId({ mailbox, fence: 2, n: 30, eventId });
    assert.deepEqual(placeOf(id), { kind: 'slot', mailbox, fence: 2, n: 30, eventId });
    assert.ok(id.length <= 2_048, `${id.length}: it is an attribute of an event`);
  }
});

it('a key alone is the place of an answer, and anything else is none', () => {
  assert.deepEqual(placeOf(mailbox), { kind: 'answer', id: mailbox });
  for (const id of [undefined, '', 'a', `${mailbox}.1`, `${mailbox}.1.x`, `${mailbox}.1.2.`, `${mailbox}x`])
    assert.equal(placeOf(id), undefined, String(id));
});
