/** The list of notifications: a link each, and the ways to other pages of the list. */

import { byId, h } from "./dom.js";
import { badge, channelName, instant, theirs } from "./notificationswords.js";
import { cursorOf, hashOf } from "./notificationsstate.js";
import { renew } from "./renew.js";

const EXAMPLE = "POST /api/notifications";

export class ListPanel {
  constructor() {
    this.place = byId("list");
    this.place.addEventListener("keydown", (event) => this.onKey(event));
  }

  /**
   * @param {object[]} notifications the page, newest first
   * @param {string | null} next the address of the next page
   */
  show(notifications, next, state, locale) {
    const rows = notifications.map((one) => row(one, state, locale));
    renew(this.place, rows);
    this.place.hidden = rows.length === 0;
    renew(byId("list-none"), rows.length === 0 ? none(state, locale) : []);
    renew(byId("list-pages"), pages(next, state, locale));
  }

  /** Give the focus to the link of a notification. */
  focus(id) {
    this.links().find((link) => link.dataset.key === id)?.focus();
  }

  /** Arrow keys lead from one to the next, as Tab does. */
  onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const links = this.links();
    links[links.indexOf(document.activeElement) + step]?.focus();
  }

  links() {
    return [...this.place.querySelectorAll("a")];
  }
}

function row(one, state, locale) {
  const open = one.id === state.id;
  const channels = one.channels.map((channel) => channelName(channel, locale)).join(locale.t("listComma"));
  const parts = [
    badge("notification", one.status, locale),
    theirs(one.title, { class: "row-title" }),
    h("span", { class: "row-user muted" }, `${locale.t("to_user")} `, theirs(one.user_id)),
    h("span", { class: "row-channels muted" }, theirs(channels)),
    h("span", { class: "row-time muted" }, instant(one.created_at, locale.ago(one.created_at), locale)),
  ];
  const link = { href: hashOf({ ...state, id: one.id }), "data-key": one.id, "aria-current": open ? "true" : null };
  return h("li", {}, h("a", link, ...parts));
}

function none(state, locale) {
  const filtered = state.status !== null || state.user !== null || state.cursor !== null;
  const name = filtered ? "noMatch" : "noNotifications";
  const all = h("a", { class: "button", href: hashOf({ status: null, user: null, cursor: null, id: state.id }) });
  all.textContent = locale.t("showAll");
  return [
    h("h3", {}, locale.t(`${name}Title`)),
    h("p", { class: "muted" }, locale.t(`${name}Text`)),
    filtered ? all : h("pre", { dir: "ltr" }, h("code", {}, EXAMPLE)),
  ];
}

function pages(next, state, locale) {
  const link = (name, cursor) =>
    h("a", { class: "button", href: hashOf({ ...state, cursor }), "data-key": name }, locale.t(name));
  return [
    ...(state.cursor === null ? [] : [link("newest", null)]),
    ...(next === null ? [] : [link("older", cursorOf(next))]),
  ];
}
