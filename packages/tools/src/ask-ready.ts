import { getText } from './get-text.ts';

/** What a service answers about itself; without a reason nothing answers. */
export type Readiness = {
  isReady: boolean;
  reason?: string | undefined;
  /** What else it tells of itself. */
  facts?: Record<string, unknown>;
};

/**
 * Asks a service whether it is ready. Never rejects.
 *
 * @param url its `/health/ready`
 */
export async function askReady(url: string): Promise<Readiness> {
  try {
    const { status, body } = await getText(url);
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
