/** The merchants with the highest totals in the periods that are shown. */

import { address, getDocument, ofOneVersion } from "./api.js";
import { byId, h } from "./dom.js";
import { called, nameAndId, remember } from "./merchantnames.js";
import { sharePermille, span } from "./report.js";

const PAGE = 50;
let byName = false;

/**
 * @param {string} version of the publication that the report is of
 * @param {(merchant: string) => void} onChoose
 */
export async function showMerchants(report, version, state, merchant, locale, signal, onChoose) {
  const [first, last] = [report.points[0], report.points.at(-1)];
  const names = { figure: locale.measure(state.type), range: span(report.points, locale) };
  const body = byId("merchants-body");
  const show = (...children) => {
    if (signal.aborted) return;
    byId("merchants-note").textContent = locale.t("topNote", names);
    body.replaceChildren(...children);
    body.setAttribute("aria-busy", "false");
  };
  const range = { mode: state.mode, from: first.key, to: last.key };
  const sort = byId("merchants-sort");
  // Shares are of all merchants; a caller who may not see all of them sees none.
  const whole = report.whole ?? 0n;
  const load = async (before) => {
    body.setAttribute("aria-busy", "true");
    const wasByName = byName;
    const order = { sort: byName ? "name" : state.type, locale: locale.language, limit: PAGE };
    const url = address("/api/merchants", { ...range, ...order, cursor: before?.next_cursor ?? null });
    try {
      const found = await ofOneVersion(() => getDocument(url, signal, version), signal);
      if (byName !== wasByName) return; // another order was selected in the meantime
      remember(found.merchants, locale);
      const all = { ...found, merchants: [...(before?.merchants ?? []), ...found.merchants] };
      const more = all.next_cursor === null ? [] : [moreButton(locale, () => load(all))];
      show(...list(all, state.type, merchant, whole, locale, onChoose), ...more);
      if (signal.aborted) return;
      byId("merchants-title").textContent = locale.t(byName ? "merchants" : "topMerchants");
      sort.textContent = locale.t(byName ? `sort_${state.type}` : "sort_name");
      sort.hidden = !byName && all.merchants.every(({ name }) => name === null);
      if (before !== null) body.querySelectorAll(".bar-row")[before.merchants.length]?.focus();
    } catch {
      show(h("p", { class: "muted" }, locale.t("topFailed")));
    }
  };
  sort.onclick = () => {
    byName = !byName;
    load(null);
  };
  await load(null);
}

function moreButton(locale, onMore) {
  const button = h("button", { type: "button", class: "link" }, locale.t("topMore"));
  button.addEventListener("click", onMore);
  return button;
}

function list({ merchants, total }, type, chosen, whole, locale, onChoose) {
  const most = merchants.reduce((highest, one) => (one[type] > highest ? one[type] : highest), 1n);
  const rows = merchants.map((one) => {
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    // Only for the bar; the exact value is next to it.
    bar.style.inlineSize = `${Math.max(0, (Number(one[type]) / Number(most)) * 100)}%`;
    // An id that is too long loses its end, in whichever direction the page runs.
    const name = one.name
      ? h("span", { class: "bar-name" }, ...nameAndId(one))
      : h("span", { class: "bar-name", dir: "auto" }, one.merchant_id);
    const value = h("span", { class: "bar-value" }, locale.exact(one[type], type));
    const attributes = {
      type: "button",
      class: "bar-row",
      title: locale.t("chooseMerchant", { merchant: called(one.merchant_id, locale) }),
      "aria-pressed": String(one.merchant_id === chosen),
    };
    const percent = whole > 0n ? locale.share(sharePermille(one[type], whole)) : "";
    const share = h("span", { class: "bar-share" }, percent);
    const button = h("button", attributes, name, share, value, bar);
    button.addEventListener("click", () => onChoose(one.merchant_id));
    return h("li", {}, button);
  });
  const counts = { shown: locale.integer(BigInt(merchants.length)), total: locale.integer(total) };
  return [h("ol", { class: "bars" }, ...rows), h("p", { class: "muted small" }, locale.t("topOf", counts))];
}
