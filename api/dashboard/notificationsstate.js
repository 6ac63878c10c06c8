/**
 * What the page of notifications shows, kept in the address after `#`.
 *
 * @typedef {{ status: string | null, user: string | null, cursor: string | null, id: string | null }} State
 *   the filter, where the page of the list begins, and the notification that is open
 */

import { address } from "./api.js";

export const STATUSES = ["pending", "sent", "printed", "failed", "cancelled"];

const LIST = "/api/notifications";
const PAGE_SIZE = "25";
const ID = /^[a-z2-7]{26}$/;

/** @returns {State} what the address says; whatever it does not say or says wrongly is null. */
export function readState() {
  const said = new URLSearchParams(location.hash.slice(1));
  const id = said.get("id") ?? "";
  return {
    status: STATUSES.find((one) => one === said.get("status")) ?? null,
    user: said.get("user") || null,
    cursor: said.get("cursor") || null,
    id: ID.test(id) ? id : null,
  };
}

/** The address of `state`, for a link. @param {State} state */
export function hashOf(state) {
  return `#${new URLSearchParams(Object.entries(state).filter(([, value]) => value !== null))}`;
}

/** Go to `state`; the way back leads to the one before. The page hears of it by `hashchange`. @param {State} state */
export function goTo(state) {
  location.hash = hashOf(state);
}

/** Where the API gives the page of the list. @param {State} state */
export function listAddress({ user, status, cursor }) {
  return address(LIST, { user_id: user, status, limit: PAGE_SIZE, cursor });
}

/** The cursor in the address of a page. @param {string | null} url */
export function cursorOf(url) {
  return url && new URL(url, location.origin).searchParams.get("cursor");
}

/** Where the API gives one notification, or takes what shall happen to it. @param {"" | "/retry" | "/cancel"} verb */
export function oneAddress(id, verb = "") {
  return `${LIST}/${id}${verb}`;
}
