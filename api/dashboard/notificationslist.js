/** A list of things, each with a link or buttons, and the ways to other pages of the list. */

import { getPage } from "./api.js";
import { byId, h } from "./dom.js";
import { cursorOf, hashOf, unfiltered } from "./notificationsstate.js";
import { renew } from "./renew.js";

const WORDS = { older: "nextPage", newest: "firstPage" };

export class ListPanel {
  constructor() {
    this.place = byId("list");
    this.place.addEventListener("keydown", (event) => this.onKey(event));
  }

  /**
   * @param {Node[]} rows list items
   * @param {Node[]} none what is said instead when there are none
   * @param {string | null} next the address of the next page
   * @param {{ older: string, newest: string }} words for the ways to the next page, and to the first
   */
  show(rows, none, next, words, state, locale) {
    renew(this.place, rows);
    this.place.hidden = rows.length === 0;
    renew(byId("list-none"), rows.length === 0 ? none : []);
    renew(byId("list-pages"), pages(next, words, state, locale));
  }

  /** Give the focus to the link of a notification. */
  focus(id) {
    this.links()
      .find((link) => link.dataset.key === id)
      ?.focus();
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
    return [...this.place.querySelectorAll("a, button")];
  }
}

/** A page of entries without pages of their own: a form adds one, buttons change it. A subclass has the rows. */
export class EntriesView {
  /**
   * @param {import("./notificationspage.js").NotificationsPage} page
   * @param {{ title: string, add: string, list: string, listed: string, none: string, noMatch: string }} texts their
   *   names, of `none` and `noMatch` those that `nothing` takes
   */
  constructor(page, texts) {
    this.page = page;
    this.texts = texts;
    this.title = texts.title;
    this.listPanel = new ListPanel();
    byId("add").addEventListener("click", () => this.add());
  }

  nothing() {
    return { items: [], next: null };
  }

  show({ items, next }, state, locale) {
    byId("add").textContent = locale.t(this.texts.add);
    byId("list-title").textContent = locale.t(this.texts.list);
    const rows = items.map((one) => this.row(one, locale));
    this.listPanel.show(rows, this.none(state, locale), next, WORDS, state, locale);
  }

  none(state, locale) {
    if (state.user === null && state.tenant === null && state.cursor === null) {
      return nothing(this.texts.none, null, locale);
    }
    const all = h("a", { class: "button", href: hashOf(unfiltered(state)) }, locale.t("showAll"));
    return nothing(this.texts.noMatch, all, locale);
  }

  chosen() {}

  underWay() {
    return false;
  }

  words({ items }, locale) {
    return locale.t(this.texts.listed, { n: locale.integer(BigInt(items.length)) });
  }
}

/** A page of a list, and the address of the next one. */
export async function getList(url, signal) {
  const { document, next } = await getPage(url, signal);
  const { next_cursor: _, ...lists } = document;
  return { items: Object.values(lists)[0], next };
}

/** What a list says that has nothing. @param {Node | null} more a way on */
export function nothing(name, more, locale) {
  return [
    h("h3", {}, locale.t(`${name}Title`)),
    h("p", { class: "muted" }, locale.t(`${name}Text`)),
    ...(more === null ? [] : [more]),
  ];
}

function pages(next, { older, newest }, state, locale) {
  const link = (name, cursor) =>
    h("a", { class: "button", href: hashOf({ ...state, cursor }), "data-key": name }, locale.t(name));
  return [
    ...(state.cursor === null ? [] : [link(newest, null)]),
    ...(next === null ? [] : [link(older, cursorOf(next))]),
  ];
}
