/** Requests to our server, with the key of this tab when there is one. */

import { parseExact } from "./exact.js";

const KEY = "key";
const TIMEOUT_MS = 20_000;

/** A request that got no good answer. `status` is 0 when no answer came at all. */
export class ApiError extends Error {
  constructor(status, problem = {}, retryAfterS = null) {
    super(problem.detail ?? problem.title ?? "");
    this.status = status;
    this.slug = (problem.type ?? "").split("/").at(-1);
    this.hint = problem.hint ?? "";
    this.retryAfterS = retryAfterS;
  }
}

/** The key of this tab; the browser forgets it with the tab. It is never put anywhere else. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/**
 * @param {string} path
 * @param {Record<string, string | null>} parameters null leaves one out
 */
export function address(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null));
  return query.size ? `${path}?${query}` : path;
}

/**
 * The answer to GET.
 * @returns {Promise<Response>}
 * @throws {ApiError}
 */
export async function get(url, signal) {
  const headers = key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, { headers, signal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0);
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new ApiError(response.status, problem, Number(response.headers.get("Retry-After")) || null);
}

/** The document at `url`; its integers are BigInt. */
export async function getDocument(url, signal) {
  return parseExact(await (await get(url, signal)).text());
}

/** The array at `url`, all its pages together. */
export async function getArray(url, signal) {
  const all = [];
  for (let next = url; next; ) {
    const response = await get(next, signal);
    all.push(...parseExact(await response.text()));
    next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] ?? null;
  }
  return all;
}
