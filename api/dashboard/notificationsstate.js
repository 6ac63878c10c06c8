/**
 * What the pages of notifications show, kept in the address after `#`.
 *
 * @typedef {import("./state.js").Range} Range
 * @typedef {{ status: string | null, channel: string | null, user: string | null, tenant: string | null, range: Range,
 *   cursor: string | null, id: string | null }} State
 *   the filter, where the page of the list begins, and the notification that is open
 */

import { address } from "./api.js";
import { positions } from "./periods.js";
import { rangeText, readRange } from "./state.js";

/** The statuses that one can choose, each with those of logs that it means. */
export const STATUSES = {
  pending: ["pending", "sending", "retrying"],
  sent: ["success"],
  printed: ["printed"],
  failed: ["dead", "unknown"],
  dead: ["dead"],
  unknown: ["unknown"],
  cancelled: ["cancelled"],
};
export const PRESETS = "created";

const LIST = "/api/notifications";
const PAGE_SIZE = "25";
const ID = /^[a-z2-7]{26}$/;
const DEFAULT_RANGE = "last-30";
const NO_FILTER = { status: null, channel: null, user: null, tenant: null, cursor: null };

/** @returns {State} the state in the address; missing or invalid parts have their defaults. */
export function readState() {
  const said = new URLSearchParams(location.hash.slice(1));
  const id = said.get("id") ?? "";
  const status = said.get("status") ?? "";
  return {
    status: Object.hasOwn(STATUSES, status) ? status : null,
    channel: said.get("channel") || null,
    user: said.get("user") || null,
    tenant: said.get("tenant") || null,
    range: readRange(said.get("range") ?? DEFAULT_RANGE, PRESETS),
    cursor: said.get("cursor") || null,
    id: ID.test(id) ? id : null,
  };
}

/** The address of `state`, for a link. @param {State} state */
export function hashOf({ range, ...state }) {
  const text = rangeText(range);
  const said = { ...state, range: text === DEFAULT_RANGE ? null : text };
  return `#${new URLSearchParams(Object.entries(said).filter(([, value]) => value !== null))}`;
}

/** Go to `state`, as a new entry of the history. The page is notified by `hashchange`. @param {State} state */
export function goTo(state) {
  location.hash = hashOf(state);
}

/** The same without any filter; the open notification stays open. @param {State} state @returns {State} */
export const unfiltered = (state) => ({ ...state, ...NO_FILTER, range: { kind: "all" } });

/** Whether the list may leave anything out. @param {State} state */
export function isFiltered(state) {
  return state.range.kind !== "all" || Object.keys(NO_FILTER).some((name) => state[name] !== null);
}

/**
 * What the list and the counts are narrowed to.
 * @param {State} state
 * @param {string[]} keys of all days up to today
 */
function narrowed({ user, range }, keys) {
  if (range.kind === "all") return { user_id: user };
  const { from, to } = range.kind === "custom" ? range : { from: keys[positions(range, keys).first], to: null };
  return { user_id: user, from, to };
}

/** The path of a page of the list. @param {State} state */
export function listAddress(state, keys) {
  const { status, channel, cursor } = state;
  const logs = { channel, log_status: status && STATUSES[status] };
  return address(LIST, { ...narrowed(state, keys), ...logs, limit: PAGE_SIZE, cursor });
}

/** The path of the counts of all channels and statuses. @param {State} state */
export const countsAddress = (state, keys) => address(`${LIST}/counts`, narrowed(state, keys));

/** The path for sending all matching notifications again. */
export const retryAddress = `${LIST}/retry`;

/** The path of a notification, or of an action on it. @param {"" | "/retry" | "/cancel"} verb */
export function oneAddress(id, verb = "") {
  return `${LIST}/${id}${verb}`;
}

/** The path of a page of subscriptions, with names in `language`. @param {State} state */
export function subscriptionsAddress({ user, tenant, cursor }, language) {
  return address("/api/subscriptions", { user_id: user, tenant, locale: language, limit: PAGE_SIZE, cursor });
}

/** The path of a page of users with contacts. @param {State} state */
export function usersAddress({ tenant, cursor }) {
  return address("/api/contacts", { tenant, limit: PAGE_SIZE, cursor });
}

/** The path of the contacts of a user. */
export function contactsAddress(user, tenant) {
  return address(`/api/users/${encodeURIComponent(user)}/contacts`, { tenant });
}

/** The cursor in the address of a page. @param {string | null} url */
export function cursorOf(url) {
  return url && new URL(url, location.origin).searchParams.get("cursor");
}
