/** The types that clients may send, in the descriptions: what listeners say of their data, with its examples. */
import { type JsonSchema, placedAt, type TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import { isPublicType } from '../../admission/public-types.ts';

/** An OpenAPI document. */
type Document = { [member: string]: unknown };

/** Where the schema of a type's data is, in OpenAPI and AsyncAPI documents. */
export const placeOf = (type: string) => `#/components/schemas/${type}`;

/** What is told of each type that clients may send and that is known by name, in alphabetical order; nobody is told of others. */
export function publicDescriptions(
  descriptions: TypeDescriptions,
  patterns: readonly string[],
): TypeDescriptions {
  const listed = patterns.filter((pattern) => !pattern.endsWith('*'));
  const names = [...new Set([...listed, ...Object.keys(descriptions)])].sort();
  return Object.fromEntries(
    names.filter((type) => isPublicType(type, patterns)).map((type) => [type, descriptions[type] ?? {}]),
  );
}

/** The schemas of the data, by type, as `components` of a document has them. */
export function dataSchemas(types: TypeDescriptions): Record<string, JsonSchema> {
  return Object.fromEntries(
    Object.entries(types).flatMap(([type, { data }]) =>
      data ? [[type, placedAt(placeOf(type), data)]] : [],
    ),
  );
}

/** What an event of `type` is, as `event` is any: with the data that its listener takes. */
export function eventOf(
  type: string,
  types: TypeDescriptions,
  event: JsonSchema & { required: string[]; properties: object },
): JsonSchema {
  const hasData = types[type]?.data !== undefined;
  const { examples: _, ...any } = event;
  return {
    ...any,
    title: type,
    required: hasData ? [...event.required, 'data'] : event.required,
    properties: {
      ...event.properties,
      type: { type: 'string', const: type },
      ...(hasData && { data: { $ref: placeOf(type) } }),
    },
  };
}

/** The examples that the schema of a type has; none where it has none. */
export function examplesOf({ data }: TypeDescriptions[string] = {}): unknown[] {
  return Array.isArray(data?.examples) ? data.examples : [];
}

/** `document`, the OpenAPI description of the edge, with what a plain event of each of `types` is, and its examples. */
export function withTypes(document: Document, types: TypeDescriptions): Document {
  const names = Object.keys(types);
  if (names.length === 0) return document;
  const copy = structuredClone(document) as OpenApiDocument;
  copy.components.schemas = { ...copy.components.schemas, ...dataSchemas(types) };
  const listed = names.map((type) => `\`${type}\``).join(', ');
  for (const path of ['/', '/events']) {
    const post = copy.paths[path]?.post;
    const plain = post?.requestBody.content['application/json'];
    if (!plain) continue;
    post.description = `${post.description ?? ''}\n\nTypes that are known by name: ${listed}.`.trim();
    const any = plain.schema as Parameters<typeof eventOf>[2];
    const isOther = { not: { properties: { type: { enum: names } } } };
    plain.schema = {
      anyOf: [...names.map((type) => eventOf(type, types, any)), { ...any, allOf: [isOther] }],
    };
    const examples = names.flatMap((type) => exampleEvents(type, types));
    if (examples.length > 0) plain.examples = Object.fromEntries(examples);
  }
  return copy;
}

type OpenApiDocument = Document & {
  components: { schemas?: Record<string, JsonSchema> };
  paths: Record<
    string,
    { post: { description?: string; requestBody: { content: Record<string, OpenApiContent> } } }
  >;
};
type OpenApiContent = { schema: JsonSchema; examples?: object };

function exampleEvents(type: string, types: TypeDescriptions): [name: string, example: object][] {
  const examples = examplesOf(types[type]);
  return examples.map((data, index) => [
    examples.length === 1 ? type : `${type} (${index + 1})`,
    { value: { type, data } },
  ]);
}
