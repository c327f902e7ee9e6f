/** One of the Server-Sent Events of a stream (WHATWG HTML, section 9.2), as far as public-web sends them. */
export type StreamedEvent = { name: string; data: string; retryMs: number | undefined };

/**
 * Reads a stream to its end; `onEvent` is called with each event in order. What was begun when it breaks off is dropped.
 *
 * @throws when it breaks off, or nothing has come for `silenceMs`, not even a comment
 */
export async function readEventStream(
  body: ReadableStream<Uint8Array>,
  { silenceMs, onEvent }: { silenceMs: number; onEvent(event: StreamedEvent): void },
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let isSilent = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expectMore = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      isSilent = true;
      void reader.cancel().catch(() => {});
    }, silenceMs);
  };
  try {
    for (;;) {
      expectMore();
      const { done, value } = await reader.read();
      if (isSilent) throw new Error('nothing comes any more');
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) onEvent(toStreamedEvent(block));
    }
  } finally {
    clearTimeout(timer);
  }
}

function toStreamedEvent(block: string): StreamedEvent {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    fields.set(name, value);
  }
  const retry = fields.get('retry');
  return {
    name: fields.get('event') ?? 'message',
    data: fields.get('data') ?? '',
    retryMs: retry === undefined ? undefined : Number(retry),
  };
}
