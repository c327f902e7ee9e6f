/** Media types (RFC 9110, section 8.3.1): what they are, and what their parameters say. */
import { rememberLast } from './remember-last.ts';

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = String.raw`"(?:[\t !#-\[\]-~]|\\[\t -~])*"`;
/** White space stands in one place of each alternative, so that no text is tried in two ways. */
const PARAMETERS = `(?:[ \\t]*;(?:[ \\t]*${TOKEN}=(?:${TOKEN}|${QUOTED}))?)*`;
/** What {@link isMediaType} takes, for descriptions. */
export const MEDIA_TYPE_PATTERN = `^${TOKEN}/${TOKEN}${PARAMETERS}[ \\t]*$`;
const MEDIA_TYPE = new RegExp(MEDIA_TYPE_PATTERN);
const PARAMETER = new RegExp(`;[ \\t]*(${TOKEN})=(${TOKEN}|${QUOTED})`, 'g');

/** Whether `text` is a media type, parameters included; it may become a header then. */
export const isMediaType = rememberLast((text: string): boolean => MEDIA_TYPE.test(text));

/** The media type without its parameters, in lower case. */
export const mediaType = rememberLast(
  (contentType: string | undefined): string =>
    (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
);

/** Its parameter `charset` in lower case, if it has one. Expects what {@link isMediaType}. */
export function charsetOf(contentType: string | undefined): string | undefined {
  if (contentType === undefined || !contentType.includes(';')) return undefined;
  for (const [, name = '', value = ''] of contentType.matchAll(PARAMETER))
    if (name.toLowerCase() === 'charset')
      return (value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value).toLowerCase();
  return undefined;
}

/** `application/json`, every `+json`, and its kin: what data of this type is, is JSON. */
export function isJsonType(contentType: string): boolean {
  return /^[^/]+\/([^/]+\+)?json$/.test(mediaType(contentType));
}
