/** Messages instead of figures, or above them: what failed, and what happens next. */

import { byId } from "./dom.js";

/** After how many seconds to try again where the server does not say, and at the earliest where it does. */
export const RETRY_S = 5;
const SOONEST_S = 2;

/** The texts for each kind of problem, what the button says, and whether the page retries automatically. */
export const KINDS = {
  "no-key": { name: "key", button: "keyEnter", again: false },
  "bad-key": { name: "key", button: "keyEnter", again: false },
  "out-of-scope": { name: "scope", button: "startOver", again: false },
  "unknown-merchant": { name: "merchant", button: "startOver", again: false },
  "too-many-requests": { name: "rate", button: "retry", again: true },
  "store-unavailable": { name: "store", button: "retry", again: true },
  // For a store that has been reachable: its figures are still shown.
  "not-built-yet": { name: "store", button: "retry", again: true },
  network: { name: "network", button: "retry", again: true },
};

/**
 * Show what `error` means, in the language of the page.
 * @param {import("./api.js").ApiError} error
 * @param {typeof KINDS} kinds where a page has texts of its own
 * @returns {{ afterS: number | null, startOver: boolean }} after how many seconds to retry, if at all;
 *   and whether the button resets the selection
 */
export function showNotice(error, locale, kinds = KINDS) {
  const kind = kinds[error.status === 0 ? "network" : error.slug];
  const again = kind ? kind.again : error.status >= 500;
  const retryS = again ? Math.max(error.retryAfterS ?? RETRY_S, SOONEST_S) : null;
  byId("notice-title").textContent = locale.t(kind ? `error_${kind.name}` : "error_other");
  byId("notice-text").textContent = kind
    ? locale.t(`error_${kind.name}Text`, { seconds: locale.integer(BigInt(retryS ?? 0)) })
    : [error.message, error.hint].filter(Boolean).join(" ");
  byId("retry").textContent = locale.t(kind?.button ?? "retry");
  byId("notice").hidden = false;
  return { afterS: retryS, startOver: kind?.button === "startOver" };
}

/** Why something was not done, for a sentence: in the words of the server, which are English, or in those of the page. */
export function reasonOf(error, locale) {
  const kind = locale.language === "en" ? null : KINDS[error.slug];
  return kind ? locale.t(`error_${kind.name}`) : locale.apart(error.message);
}

/**
 * Show why there are no figures, although nothing failed.
 * @param {"empty" | "noTransactions" | "noAccess"} why
 * @param {boolean} operates whether the reader may be the one who builds summaries
 */
export function showEmpty(why, operates, locale) {
  const builds = why === "empty" && operates;
  byId("empty-title").textContent = locale.t(`${why}Title`);
  byId("empty-text").textContent = locale.t(why === "empty" && !operates ? "emptyWait" : `${why}Text`);
  byId("empty-note").textContent = why === "noAccess" ? "" : locale.t("emptyNote");
  byId("empty-command").hidden = !builds;
  byId("empty").hidden = false;
}
