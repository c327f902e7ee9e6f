/**
 * Where the reply to a listener's own request goes: to a queue of the process that asked, which its reply address names. It
 * is not signed: no client can set a reply address, and it can name no queues but those of requests.
 */
const PREFIX = 'requester:';
const ADDRESS = /^requester:([a-z0-9][a-z0-9-]{0,63}(?:\.observers)?\.requests\.[0-9a-f-]{36})$/;

/** The reply address of who asks. */
export function addressOf(requester: string): string {
  return PREFIX + requester;
}

/** Who asks by this reply address; undefined for any other, which is a dispatcher's to read. */
export function requesterAt(replyto: string | undefined): string | undefined {
  return replyto?.startsWith(PREFIX) ? ADDRESS.exec(replyto)?.[1] : undefined;
}
