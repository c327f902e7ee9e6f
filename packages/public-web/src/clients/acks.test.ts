import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createAcks } from './acks.ts';

it('acknowledgements write the further of two tokens, and what is noted while they are written', async () => {
  const written: string[] = [];
  const acks = createAcks({
    async askStore(call) {
      assert.ok(call.call === 'acknowledge');
      written.push(...call.tokens.map(({ after }) => after));
      if (written.length === 1) acks.note('m', 'now.7');
      return undefined as never;
    },
  });
  acks.note('m', 'now.5');
  acks.note('m', 'now.3');
  await acks.flush();
  acks.note('m', 'later.1');
  await acks.flush();
  assert.deepEqual(written, ['now.5', 'now.7', 'later.1']);
});
