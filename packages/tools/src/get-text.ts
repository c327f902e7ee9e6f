import { get } from 'node:http';
import { text } from 'node:stream/consumers';

const TIMEOUT_MS = 2_000;

/** What a server of this machine or network answers. Rejects when nothing is there, or not within 2 s. */
export function getText(url: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    // Without the agent that Node may have go through a proxy.
    const asked = get(url, { agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) }, (response) =>
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject),
    );
    asked.on('error', reject);
  });
}
