/** JSON whose integers stay exact: JavaScript's own numbers would round those above 2^53. */

const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const INTEGER = /^-?\d+$/;
const IS_INTEGER = "\u0001i";
const IS_TEXT = "\u0001t";

/**
 * Like JSON.parse, but every integer is a BigInt.
 * @param {string} text
 */
export function parseExact(text) {
  // An integer travels through JSON.parse as a marked string; a string that begins like a mark is marked as text.
  const marked = text.replace(TOKENS, (token) => {
    if (token.startsWith('"\\u0001')) return `"\\u0001t${token.slice(1)}`;
    return INTEGER.test(token) ? `"\\u0001i${token}"` : token;
  });
  return JSON.parse(marked, (_, value) => {
    if (typeof value !== "string") return value;
    if (value.startsWith(IS_INTEGER)) return BigInt(value.slice(IS_INTEGER.length));
    return value.startsWith(IS_TEXT) ? value.slice(IS_TEXT.length) : value;
  });
}
