/** URIs as RFC 3986 writes them (appendix A), by regular expressions without a choice between two ways to match. */

const CHARACTER = "[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}";
const PATH = `(?:${CHARACTER}|/)*`;
const TAIL = `(?:\\?(?:${CHARACTER}|[/?])*)?(?:#(?:${CHARACTER}|[/?])*)?$`;
const AUTHORITY = "(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*";
const HOST_IN_BRACKETS = "\\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\\](?::\\d*)?";
const HOST = `(?:${HOST_IN_BRACKETS}|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*(?::\\d*)?)`;
/** With an authority, or a path that does not look like one. */
const HIERARCHY = `(?://(?:(?=[^/?#]*@)${AUTHORITY}@)?${HOST}(?:/${PATH})?|(?!//)${PATH})`;
/** What {@link isUri} takes, for descriptions. */
export const URI_PATTERN = `^[A-Za-z][A-Za-z0-9+.-]*:${HIERARCHY}${TAIL}`;
/** Its first segment has no colon: what stands before one is a scheme. */
const RELATIVE_PATTERN = `^(?![^/?#]*:)${HIERARCHY}${TAIL}`;
/** What {@link isUriReference} takes, for descriptions. */
export const URI_REFERENCE_PATTERN = `(?:${URI_PATTERN}|${RELATIVE_PATTERN})`;
const URI = new RegExp(URI_PATTERN);
const RELATIVE = new RegExp(RELATIVE_PATTERN);

/** Whether it is a URI, which begins with a scheme. */
export function isUri(text: string): boolean {
  return URI.test(text);
}

/** Whether it is a URI, or a reference relative to one. */
export function isUriReference(text: string): boolean {
  return URI.test(text) || RELATIVE.test(text);
}
