/** Elements that the list and the details share. */

import { h } from "./dom.js";

const CHANNELS = ["sms", "email", "telegram", "webhook"];

/** A channel by its name; that of a plug-in is called what the operator called it. */
export function channelName(channel, locale) {
  return CHANNELS.includes(channel) ? locale.t(`channel_${channel}`) : channel;
}

/** @param {"notification" | "log"} kind */
export function badge(kind, status, locale) {
  return h("span", { class: `badge ${kind}-${status}` }, locale.t(`${kind}_${status}`));
}

/** Text of users, which must not become markup nor change the direction of the text next to it. */
export function theirs(text, attributes = {}) {
  return h("bdi", attributes, text);
}

/** A button of one of several things, which tells screen readers `whose` it is. */
export function itemButton(text, whose, attributes, locale) {
  const unseen = h("span", { class: "unseen" }, ` ${locale.apart(whose)}`);
  return h("button", { type: "button", class: "button small", ...attributes }, text, unseen);
}

/** An instant as `text`, with all of it to see where the pointer rests. */
export function instant(at, text, locale) {
  return h("time", { datetime: at, title: locale.moment(at) }, text);
}
