/**
 * OTLP/JSON writes ids in hex and enums as numbers; Tempo's API answers in protobuf's own JSON mapping, where ids are
 * base64, enums are names, 64-bit integers are strings, and fields with their default value are left out.
 */

/** Writes `value`, a `ResourceSpans` of OTLP/JSON, as protobuf JSON. */
export function toProtobufJson(value: unknown): string {
  // By name alone: attributes are lists of {key, value}, so no client's word ever stands as a member's name.
  return JSON.stringify(value, (name, member) => {
    const convert = Object.hasOwn(conversions, name) ? conversions[name] : undefined;
    return convert ? convert(member) : member;
  });
}

const SPAN_KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const STATUS_CODES = [undefined, 'STATUS_CODE_OK', 'STATUS_CODE_ERROR'];

const conversions: Record<string, (member: unknown) => unknown> = {
  traceId: toBase64,
  spanId: toBase64,
  parentSpanId: toBase64,
  kind: (kind) => (typeof kind === 'number' ? `SPAN_KIND_${SPAN_KINDS[kind] ?? 'UNSPECIFIED'}` : kind),
  code: (code) => (typeof code === 'number' ? STATUS_CODES[code] : code),
  intValue: String,
  timeUnixNano: String,
  startTimeUnixNano: String,
  endTimeUnixNano: String,
  droppedAttributesCount: withoutZero,
  droppedEventsCount: withoutZero,
  droppedLinksCount: withoutZero,
};

function toBase64(hex: unknown): string | undefined {
  return typeof hex === 'string' && hex !== '' ? Buffer.from(hex, 'hex').toString('base64') : undefined;
}

function withoutZero(count: unknown): unknown {
  return count === 0 ? undefined : count;
}
