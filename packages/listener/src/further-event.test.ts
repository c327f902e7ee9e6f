import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { publishCopies } from './further-event.ts';
import type { Further } from './publish-events.ts';

const { signal } = new AbortController();

function eventsOf(...types: string[]): Further[] {
  return types.map((type) => ({
    message: { to: { type }, contentType: 'application/cloudevents+json', body: Buffer.from('{}') },
    isMandatory: false,
  }));
}

describe('copies of further events', () => {
  it('are written at once, eight at a time, and so before the events themselves', async () => {
    let written = 0;
    const copied = publishCopies(
      eventsOf(...Array<string>(20).fill('Noted')),
      async () => {
        written += 1;
        return true;
      },
      signal,
    );
    assert.equal(written, 8);
    await copied;
    assert.equal(written, 20);
  });

  it('are no more made of a type whose copies the broker does not take, and go on of others', async () => {
    const written: string[] = [];
    const types = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 'Hanging' : 'Noted'));
    await publishCopies(
      eventsOf(...types),
      async (type) => {
        written.push(type);
        return type === 'Noted';
      },
      signal,
    );
    assert.equal(written.filter((type) => type === 'Noted').length, 20);
    assert.equal(written.filter((type) => type === 'Hanging').length, 4);
  });
});
