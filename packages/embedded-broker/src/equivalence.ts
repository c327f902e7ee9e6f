/** A second declaration must ask for what there is: each difference is a `PRECONDITION_FAILED`, in RabbitMQ's words. */
import { AmqpError } from './amqp-error.ts';
import { type Field, integerOf, type Table } from './codec/table.ts';

/**
 * Compares properties and the named arguments of a declaration with what exists.
 *
 * @throws AmqpError `PRECONDITION_FAILED` naming the first that differs.
 */
export function expectEquivalent(options: {
  resource: string;
  received: Record<string, string | boolean>;
  current: Record<string, string | boolean>;
  receivedArgs: Table;
  currentArgs: Table;
}): void {
  const { resource, received, current, receivedArgs, currentArgs } = options;
  for (const [name, value] of Object.entries(received))
    if (value !== current[name]) fail(name, resource, `'${value}'`, `'${current[name]}'`);
  for (const name of new Set([...currentArgs.keys(), ...receivedArgs.keys()])) {
    const [mine, theirs] = [receivedArgs.get(name), currentArgs.get(name)];
    if (name.startsWith('x-') && toComparable(mine) !== toComparable(theirs))
      fail(
        name,
        resource,
        ...(mine && theirs
          ? ([quote(mine), quote(theirs)] as const)
          : ([describe(mine), describe(theirs)] as const)),
      );
  }
}

/** One text for equal fields; integers are equal whatever their size. */
export function toComparable(field: Field | undefined): string {
  if (!field) return '';
  const integer = integerOf(field);
  if (integer !== undefined) return `integer ${integer}`;
  switch (field.type) {
    case 'A':
      return `[${field.value.map(toComparable).join()}]`;
    case 'F':
      return tableToComparable(field.value);
    case 'S':
    case 'x':
      return `S ${field.value.toString('hex')}`;
    case 'D':
      return `D ${field.value.scale} ${field.value.digits}`;
    default:
      return `${field.type} ${field.value}`;
  }
}

/** As {@link toComparable}; the order of the fields says nothing. */
export function tableToComparable(table: Table): string {
  const entries = [...table].map(([name, field]) => `${JSON.stringify(name)}:${toComparable(field)}`);
  return `{${entries.sort().join()}}`;
}

function fail(name: string, resource: string, received: string, current: string): never {
  const text = `inequivalent arg '${name}' for ${resource}: received ${received} but current is ${current}`;
  throw new AmqpError('PRECONDITION_FAILED', text);
}

const TYPE_NAMES: Partial<Record<Field['type'], string>> = {
  t: 'bool',
  b: 'byte',
  B: 'unsignedbyte',
  s: 'short',
  u: 'unsignedshort',
  I: 'signedint',
  i: 'unsignedint',
  l: 'long',
  f: 'float',
  d: 'double',
  S: 'longstr',
};

/** What one side has and the other has not. */
function describe(field: Field | undefined): string {
  return field ? `the value ${quote(field)} of type '${TYPE_NAMES[field.type] ?? field.type}'` : 'none';
}

function quote(field: Field): string {
  return `'${integerOf(field) ?? String(field.value)}'`;
}
