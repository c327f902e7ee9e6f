/**
 * Text that strangers may have chosen, for a terminal: what would steer it, break a line, or turn the direction of writing
 * is spelled out, so that JSON still means the same.
 *
 * @param {string} text may have line breaks, which stay
 */
export function printable(text) {
  return text.replace(
    /(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
