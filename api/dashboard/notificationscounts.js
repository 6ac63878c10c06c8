/** The number of messages by channel and status: a table whose numbers are links to the messages. */

import { byId, h, scrolledTable } from "./dom.js";
import { hashOf, STATUSES } from "./notificationsstate.js";
import { channelName } from "./notificationswords.js";
import { renew } from "./renew.js";

/** The columns; `failed` is two of them. */
const COLUMNS = ["pending", "sent", "printed", "dead", "unknown", "cancelled"];

/** The counts of the API. */
export class Counts {
  /** @param {{ counts: { logs: Record<string, string>, notifications: bigint }[], complete: boolean }} found */
  constructor(found) {
    this.found = found;
    this.groups = found.counts.map(({ logs, notifications }) => ({ logs: Object.entries(logs), notifications }));
  }

  /** How many notifications have a message of that channel and status, null for any. @returns {bigint} */
  notifications(channel, statuses) {
    return this.sum((logs) => (logs.some(passes(channel, statuses)) ? 1n : 0n));
  }

  /** How many messages. @returns {bigint} */
  messages(channel, statuses) {
    return this.sum((logs) => BigInt(logs.filter(passes(channel, statuses)).length));
  }

  sum(weight) {
    return this.groups.reduce((total, { logs, notifications }) => total + weight(logs) * notifications, 0n);
  }

  channels() {
    return [...new Set(this.groups.flatMap(({ logs }) => logs.map(([channel]) => channel)))].sort();
  }
}

const passes = (channel, statuses) => {
  return ([one, status]) => (channel === null || one === channel) && (statuses === null || statuses.includes(status));
};

/** @param {Counts | null} counts null where they did not load */
export function showCounts(counts, state, locale) {
  byId("counts-panel").hidden = counts !== null && counts.groups.length === 0;
  if (counts === null) {
    byId("counts-note").textContent = locale.t("countsFailed");
    renew(byId("counts"), []);
    return;
  }
  const number = (value) => locale.integer(value);
  const values = { notifications: number(counts.notifications(null, null)), n: number(counts.messages(null, null)) };
  const partly = counts.found.complete ? "" : ` ${locale.t("countsPartly")}`;
  byId("counts-note").textContent = `${locale.t("countsNote", values)}${partly}`;
  renew(byId("counts"), [table(counts, state, locale)]);
}

function table(counts, state, locale) {
  const used = COLUMNS.filter((name) => name === state.status || counts.messages(null, STATUSES[name]) > 0n);
  const heads = [locale.t("filterChannel"), locale.t("anyStatus"), ...used.map((name) => locale.t(`status_${name}`))];
  const channels = counts.channels();
  const rows = [...(channels.length > 1 ? [null] : []), ...channels].map((channel) => [
    channel === null ? locale.t("anyChannel") : h("bdi", {}, channelName(channel, locale)),
    ...[null, ...used].map((status) => cell(counts, channel, status, state, locale)),
  ]);
  const scroll = { role: "group", "aria-labelledby": "counts-title" };
  return scrolledTable(locale.t("countsTitle"), heads, rows, scroll, { class: "counts" });
}

function cell(counts, channel, status, state, locale) {
  const count = counts.messages(channel, status === null ? null : STATUSES[status]);
  const text = locale.integer(count);
  const shown = state.channel === channel && state.status === status;
  if (count === 0n && !shown) return h("span", { class: "muted" }, text);
  const href = hashOf({ ...state, channel, status, cursor: null, id: null });
  const tone = status === null ? null : `count-${status}`;
  return h("a", { href, class: tone, "data-key": `${channel}:${status}`, "aria-current": shown ? "true" : null }, text);
}
