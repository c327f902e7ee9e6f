import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEventStream, type StreamedEvent } from './read-event-stream.ts';

const silenceMs = 10_000;
const bytes = (text: string) => new TextEncoder().encode(text);

describe('a stream of events', () => {
  it('is read however it is cut into pieces', async () => {
    const text =
      ':\n\nid: e.1\ndata: {"text":"größer: 1"}\n\nretry: 30000\nevent: waybill.TakenOver\ndata: {}\n\n';
    for (const size of [1, 7, 1000]) {
      const events: StreamedEvent[] = [];
      const all = bytes(text);
      const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
        all.subarray(index * size, (index + 1) * size),
      );
      await readEventStream(ReadableStream.from(pieces), {
        silenceMs,
        onEvent: (event) => events.push(event),
      });
      assert.deepEqual(events, [
        { name: 'message', data: '', retryMs: undefined },
        { name: 'message', data: '{"text":"größer: 1"}', retryMs: undefined },
        { name: 'waybill.TakenOver', data: '{}', retryMs: 30_000 },
      ]);
    }
  });

  it('is over when nothing comes any more, and when it breaks off, whose begun event is dropped', async () => {
    const silent = new ReadableStream<Uint8Array>({ start: (stream) => stream.enqueue(bytes(':\n\n')) });
    await assert.rejects(readEventStream(silent, { silenceMs: 20, onEvent() {} }), /nothing comes/);
    const events: StreamedEvent[] = [];
    const broken = ReadableStream.from(
      (function* () {
        yield bytes('data: {');
        throw new Error('reset');
      })(),
    );
    const read = readEventStream(broken, { silenceMs, onEvent: (event) => events.push(event) });
    await assert.rejects(read, { message: 'reset' });
    assert.deepEqual(events, []);
  });
});
