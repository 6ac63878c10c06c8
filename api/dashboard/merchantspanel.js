/** The merchants with the highest totals in the periods that are shown. */

import { address, getDocument, ofOneVersion } from "./api.js";
import { byId, h } from "./dom.js";
import { spanOf } from "./report.js";

const SHOWN = 10;

/**
 * @param {string} version of the publication that the report is of
 * @param {(merchant: string) => void} onChoose
 */
export async function showMerchants(report, version, state, merchant, locale, signal, onChoose) {
  const [first, last] = [report.points[0], report.points.at(-1)];
  const names = { figure: locale.measure(state.type), range: spanOf(report.points, locale) };
  const body = byId("merchants-body");
  const show = (...children) => {
    if (signal.aborted) return;
    byId("merchants-note").textContent = locale.t("topNote", names);
    body.replaceChildren(...children);
    body.setAttribute("aria-busy", "false");
  };
  body.setAttribute("aria-busy", "true");
  try {
    const range = { mode: state.mode, from: first.key, to: last.key };
    const url = address("/api/merchants", { ...range, sort: state.type, limit: SHOWN });
    const found = await ofOneVersion(() => getDocument(url, signal, version), signal);
    show(...list(found, state.type, merchant, locale, onChoose));
  } catch {
    show(h("p", { class: "muted" }, locale.t("topFailed")));
  }
}

function list({ merchants, total }, type, chosen, locale, onChoose) {
  const most = merchants.reduce((highest, one) => (one[type] > highest ? one[type] : highest), 1n);
  const rows = merchants.map((one) => {
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    // Drawn only; the exact value stands beside it.
    bar.style.inlineSize = `${Math.max(0, (Number(one[type]) / Number(most)) * 100)}%`;
    const name = h("span", { class: "bar-name", dir: "auto" }, one.merchant_id);
    const value = h("span", { class: "bar-value" }, locale.integer(one[type]));
    const attributes = {
      type: "button",
      class: "bar-row",
      title: locale.t("chooseMerchant", { merchant: one.merchant_id }),
    };
    const button = h("button", { ...attributes, "aria-pressed": String(one.merchant_id === chosen) }, name, value, bar);
    button.addEventListener("click", () => onChoose(one.merchant_id));
    return h("li", {}, button);
  });
  const counts = { shown: locale.integer(BigInt(merchants.length)), total: locale.integer(total) };
  return [h("ol", { class: "bars" }, ...rows), h("p", { class: "muted small" }, locale.t("topOf", counts))];
}
