/** A list of things, each with a link or buttons, and the ways to other pages of the list. */

import { byId, h } from "./dom.js";
import { cursorOf, hashOf } from "./notificationsstate.js";
import { renew } from "./renew.js";

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
