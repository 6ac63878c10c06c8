/** Names of merchants, as far as the page has met them, in its language. */

import { h } from "./dom.js";

const known = new Map();
let language = null;

/** @param {{ merchant_id: string, name?: string | null }[]} merchants with their names in the language of `locale` */
export function remember(merchants, locale) {
  if (locale.language !== language) known.clear();
  language = locale.language;
  for (const { merchant_id: id, name } of merchants) known.set(id, name ?? null);
}

/** A merchant in a sentence: its name, with the id if another one has the same name; without a name the id. */
export function called(merchant, locale) {
  const name = locale.language === language ? known.get(merchant) : null;
  if (!name) return merchant;
  const isShared = [...known].some(([id, other]) => other === name && id !== merchant);
  return isShared ? `${locale.apart(name)} (${locale.apart(merchant)})` : locale.apart(name);
}

/** The name and the id of a merchant in a list; without a name only the id. @returns {HTMLElement[]} */
export function nameAndId({ merchant_id: id, name }) {
  if (!name) return [h("bdi", {}, id)];
  return [h("bdi", { class: "merchant-name" }, name), h("bdi", { class: "merchant-id" }, id)];
}
