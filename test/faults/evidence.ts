/** What a run left behind, gathered from where each tier leaves its traces. */
import { existsSync, readFileSync } from 'node:fs';
import { DEAD_LETTERS_QUEUE } from '@waybill/common/broker/amqp-topology.ts';
import { DEAD_LETTER_HEADERS } from '@waybill/common/broker/dead-letter.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { connect } from 'amqplib';
import { numberOf } from './client-ways.ts';
import type { FaultySystem } from './faulty-system.ts';
import { KEYED_FROM } from './keyed-load.ts';

/** What became of events, by their ids. Logs may lack the last lines of a killed process; `ran` lacks nothing. */
export type Evidence = {
  /** When handlers started on it, since the epoch. */
  ran: Map<string, number[]>;
  /** The events that ran for each number in the data of a request with a key. */
  idsOf: Map<number, Set<string>>;
  /** A dispatcher had the broker's confirm. */
  confirmed: Set<string>;
  /** When a listener had the broker's confirm of its reply, the first time. */
  replied: Map<string, number>;
  /** When a listener dropped it because its deadline had passed, the first time. */
  expired: Map<string, number>;
  /** Numbers that clients that stay have sent, and a public-web had taken for a mailbox. */
  taken: Set<number>;
  /** How often a public-web said that it has answered it. */
  accounted: Map<string, number>;
  /** How long its client waited, says public-web. In milliseconds. */
  durations: Map<string, number>;
  /** What a dispatcher's callback with its reply came to, each time, and when, since the epoch. */
  routed: Map<string, { outcome: string; atMs: number }[]>;
  /** Errors, and what is no log line at all: no fault from outside is a reason for one. */
  alarmingLines: string[];
};

/** Why an event was given up. */
export type DeadLetter = {
  id: string;
  /** Whose dataset it would have been, if any. */
  clientId?: string;
  reason: string;
  error: string;
};

/** What a run in which nothing happened leaves behind. */
export function noEvidence(): Evidence {
  return {
    ran: new Map(),
    idsOf: new Map(),
    confirmed: new Set(),
    replied: new Map(),
    expired: new Map(),
    taken: new Set(),
    accounted: new Map(),
    durations: new Map(),
    routed: new Map(),
    alarmingLines: [],
  };
}

/** Reads the recordings of the listeners and the logs of all processes there were. */
export function gatherEvidence({ processes, recordings }: FaultySystem): Evidence {
  const evidence = noEvidence();
  for (const file of recordings) readRecording(file, evidence);
  for (const { name, services } of processes.values())
    for (const { logs } of services) for (const line of logs) readLine(name, line, evidence);
  return evidence;
}

function readRecording(file: string, { ran, idsOf }: Evidence): void {
  if (!existsSync(file)) return;
  for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
    const [id = '', time, sentAt] = line.split(' ');
    ran.set(id, [...(ran.get(id) ?? []), Number(time)]);
    const number = Number(sentAt);
    if (number >= KEYED_FROM) idsOf.set(number, (idsOf.get(number) ?? new Set()).add(id));
  }
}

function readLine(name: string, line: LogLine, evidence: Evidence): void {
  const { msg, outcome, level } = line;
  const id = String(line.event_id);
  if (msg === 'event published' && outcome === 'confirmed') evidence.confirmed.add(id);
  else if (msg === 'event handled' && outcome === 'expired') setFirst(evidence.expired, id, line);
  else if (msg === 'event handled' && outcome === 'handled') setFirst(evidence.replied, id, line);
  else if (msg === 'event answered') {
    evidence.accounted.set(id, (evidence.accounted.get(id) ?? 0) + 1);
    evidence.durations.set(id, Number(line.duration_ms));
    const number = numberOf(id);
    if (number !== undefined && line.status === 202) evidence.taken.add(number);
  } else if (msg === 'reply routed') {
    const eventId = id.replace('reply-to-', '');
    const end = { outcome: String(outcome), atMs: Number(line.time) };
    evidence.routed.set(eventId, [...(evidence.routed.get(eventId) ?? []), end]);
  }
  if (level === 'fatal' || level === 'error' || level === undefined)
    evidence.alarmingLines.push(`${name}: ${JSON.stringify(line)}`);
}

function setFirst(times: Map<string, number>, id: string, { time }: LogLine): void {
  if (!times.has(id)) times.set(id, Number(time));
}

/** Takes all dead letters out of the broker. */
export async function takeDeadLetters(amqpUrl: string): Promise<DeadLetter[]> {
  const connection = await connect(amqpUrl);
  const channel = await connection.createChannel();
  const letters: DeadLetter[] = [];
  for (;;) {
    const message = await channel.get(DEAD_LETTERS_QUEUE, { noAck: true });
    if (!message) break;
    const headers = message.properties.headers ?? {};
    const reason = headers[DEAD_LETTER_HEADERS.reason] ?? JSON.stringify(headers);
    const error = `${headers[DEAD_LETTER_HEADERS.errorCode]}: ${headers[DEAD_LETTER_HEADERS.errorMessage]}`;
    letters.push({ ...eventOf(message.content), reason: String(reason), error });
  }
  await connection.close();
  return letters;
}

type Body = { id?: string; data?: { client_id?: string } };

function eventOf(content: Buffer): Pick<DeadLetter, 'id' | 'clientId'> {
  try {
    const events = [JSON.parse(content.toString()) as Body | Body[]].flat();
    return { id: events.map(({ id }) => id).join(' '), clientId: events[0]?.data?.client_id };
  } catch {
    return { id: content.toString('latin1', 0, 100) };
  }
}
