import { randomUUID } from 'node:crypto';
import { Agent } from 'undici';

export type LoadResult = {
  answered: number;
  /** What was not answered 200 with the request's own id, in words. */
  failures: string[];
};

export type Load = {
  /** Answers so far. */
  answered(): number;
  /** Sends no more, and resolves when what is under way is answered. */
  stop(): Promise<LoadResult>;
  /** Resolves when the `total` given is done. */
  done: Promise<LoadResult>;
};

/**
 * Sends pings to `urls` in turn, `concurrency` at a time, `total` of them or until it is stopped. An answer counts
 * only with status 200, the id of its request, and its `sentAt`.
 */
export function startLoad({
  urls,
  concurrency,
  total = Number.POSITIVE_INFINITY,
}: {
  urls: string[];
  concurrency: number;
  total?: number;
}): Load {
  const agent = new Agent();
  const failures: string[] = [];
  let answered = 0;
  let sent = 0;
  let isStopped = false;

  async function client(): Promise<void> {
    while (!isStopped && sent < total) {
      const origin = urls[sent % urls.length] as string;
      sent += 1;
      const failure = await ping(agent, origin, sent);
      if (failure === undefined) answered += 1;
      else failures.push(failure);
    }
  }

  const done = Promise.all(Array.from({ length: concurrency }, client)).then(async () => {
    await agent.destroy();
    return { answered, failures };
  });
  return {
    answered: () => answered,
    done,
    stop() {
      isStopped = true;
      return done;
    },
  };
}

async function ping(agent: Agent, origin: string, sentAt: number): Promise<string | undefined> {
  const id = randomUUID();
  try {
    const { statusCode, body } = await agent.request({
      origin,
      path: '/',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id, type: 'PingRequest', data: { sentAt } }),
    });
    const answer = (await body.json()) as { id?: string; data?: { sentAt?: number } };
    if (statusCode === 200 && answer.id === id && answer.data?.sentAt === sentAt) return undefined;
    return `${statusCode} ${JSON.stringify(answer)}`;
  } catch (error) {
    return `${(error as { code?: string }).code} ${(error as Error).message}`;
  }
}
