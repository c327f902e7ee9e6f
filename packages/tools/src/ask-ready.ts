import { get } from 'node:http';
import { text } from 'node:stream/consumers';

/** What a service answers about itself; without a reason nothing answers. */
export type Readiness = {
  isReady: boolean;
  reason?: string | undefined;
  /** What else it tells of itself. */
  facts?: Record<string, unknown>;
};

const TIMEOUT_MS = 2_000;

/**
 * Asks a service whether it is ready. Never rejects.
 *
 * @param url its `/health/ready`
 */
export async function askReady(url: string): Promise<Readiness> {
  try {
    const { status, body } = await ask(url);
    const { status: _, reason, ...facts } = toObject(body);
    return status === 200 ? { isReady: true, facts } : { isReady: false, reason: String(reason), facts };
  } catch {
    return { isReady: false };
  }
}

function toObject(body: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(body));
  } catch {
    return {};
  }
}

function ask(url: string) {
  return new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    // Without the agent that Node may have go through a proxy.
    const asked = get(url, { agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) }, (response) =>
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject),
    );
    asked.on('error', reject);
  });
}
