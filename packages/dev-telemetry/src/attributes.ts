import { list, object } from './otlp-json.ts';

/** Flat, with names as Loki and Prometheus have them: `http.method` and the member `method` of `http` are both `http_method`. */
export function readAttributes(attributes: unknown, prefix = ''): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const { key, value } of list(attributes)) {
    const name = prefix + toName(String(key));
    const { kvlistValue } = object(value);
    if (kvlistValue !== undefined)
      Object.assign(flat, readAttributes(object(kvlistValue).values, `${name}_`));
    else flat[name] = toText(value);
  }
  return flat;
}

/** A name without what those two do not have in theirs. */
export function toName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, '_');
}

/** An OTLP AnyValue as text; a compound one as JSON. */
export function toText(value: unknown): string {
  const plain = toPlain(value);
  return typeof plain === 'string' ? plain : JSON.stringify(plain);
}

function toPlain(value: unknown): unknown {
  const { stringValue, boolValue, intValue, doubleValue, bytesValue, arrayValue, kvlistValue } =
    object(value);
  if (arrayValue !== undefined) return list(object(arrayValue).values).map(toPlain);
  if (kvlistValue !== undefined) {
    const entries = list(object(kvlistValue).values).map((member) => [member.key, toPlain(member.value)]);
    return Object.fromEntries(entries);
  }
  return stringValue ?? boolValue ?? intValue ?? doubleValue ?? bytesValue ?? '';
}
