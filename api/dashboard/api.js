/** Requests to the server, with the API key of this tab if it has one. */

const KEY = "key";
const TIMEOUT_MS = 20_000;
/** After these waits, all worker processes have noticed a publication from before the first attempt. */
const WAITS_MS = [100, 300, 700, 1500, 3000];

const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const INTEGER = /^-?\d+$/;
const IS_INTEGER = "\u0001i";
const IS_TEXT = "\u0001t";

/** A failed request. `status` is 0 if there was no response. */
export class ApiError extends Error {
  constructor(status, problem = {}, retryAfterS = null) {
    super(problem.detail ?? problem.title ?? "");
    this.status = status;
    this.slug = (problem.type ?? "").split("/").at(-1);
    this.hint = problem.hint ?? "";
    this.errors = problem.errors ?? [];
    this.retryAfterS = retryAfterS;
  }
}

/** The key of this tab, in its session storage only. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/**
 * @param {string} path
 * @param {Record<string, string | string[] | null>} parameters null leaves one out; a list is repeated
 */
export function address(path, parameters = {}) {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const query = new URLSearchParams(pairs.filter(([, value]) => value !== null));
  return query.size ? `${path}?${query}` : path;
}

/**
 * The answer to GET.
 * @returns {Promise<Response>}
 * @throws {ApiError}
 */
export function get(url, signal) {
  return ask(url, {}, signal);
}

/**
 * The answer to POST, PUT or DELETE with `body` as JSON; its integers are BigInt.
 * @returns {Promise<object>}
 * @throws {ApiError} with status 0 it is unknown whether the server has done it
 */
export async function send(method, url, body = {}) {
  const headers = { "Content-Type": "application/json" };
  const response = await ask(url, { method, headers, body: JSON.stringify(body) });
  return parseExact(await response.text());
}

async function ask(url, request, signal) {
  const headers = { ...request.headers, ...(key.get() && { Authorization: `Bearer ${key.get()}` }) };
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, { ...request, headers, signal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0);
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new ApiError(response.status, problem, Number(response.headers.get("Retry-After")) || null);
}

/** A response of another publication than the requested one: each worker process notices a publication separately. */
export class OtherVersion extends Error {}

/** The document at `url`; its integers are BigInt. With a version, only an answer of that. */
export async function getDocument(url, signal, version = null) {
  return (await getPage(url, signal, version)).document;
}

/** The array at `url`, all its pages together, only of the publication `version`. */
export async function getArray(url, signal, version) {
  const all = [];
  for (let next = url; next; ) {
    const page = await getPage(next, signal, version);
    all.push(...page.document);
    next = page.next;
  }
  return all;
}

/** As `getDocument`, with the address of the page after it, which is null after the last. */
export async function getPage(url, signal, version = null) {
  const response = await get(url, signal);
  // ETags begin with the version.
  if (version !== null && !response.headers.get("ETag")?.startsWith(`"${version}-`)) throw new OtherVersion();
  const next = /<([^>]+)>;\s*rel="?next\b/.exec(response.headers.get("Link") ?? "")?.[1] ?? null;
  return { document: parseExact(await response.text()), next };
}

/**
 * The result of `attempt`, which is repeated while it gets responses of another publication.
 * @template T
 * @param {() => Promise<T>} attempt
 * @returns {Promise<T>}
 */
export async function ofOneVersion(attempt, signal) {
  for (const waitMs of WAITS_MS) {
    try {
      return await attempt();
    } catch (error) {
      const other = error instanceof OtherVersion || (error instanceof ApiError && error.slug === "stale-cursor");
      if (!other || signal?.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
  throw new ApiError(503); // another publication during each attempt
}

/**
 * Like JSON.parse, but every integer is a BigInt: JavaScript's own numbers would round those above 2^53.
 * @param {string} text
 */
function parseExact(text) {
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
