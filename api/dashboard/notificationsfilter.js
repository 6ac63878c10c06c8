/** Which notifications, subscriptions or users the list shows. */

import { byId, foldControls, h } from "./dom.js";
import { PRESETS, STATUSES } from "./notificationsstate.js";
import { channelName } from "./notificationswords.js";
import { RangeChoice } from "./rangechoice.js";
import { rangeText } from "./state.js";

const LAST_DAYS = 7;

export class Filter {
  /** @param {(filter: Partial<import("./notificationsstate.js").State>) => void} onChoose */
  constructor(onChoose) {
    this.form = byId("controls");
    this.selects = [byId("status"), byId("channel")];
    this.texts = [byId("user"), byId("tenant")];
    this.shown = {};
    this.range = new RangeChoice((range) => onChoose({ range }), { presets: PRESETS, outside: "createdOutside" });
    foldControls();
    for (const input of [...this.selects, ...this.texts]) {
      input.addEventListener("change", () => onChoose({ [input.name]: input.value.trim() || null }));
    }
    byId("user-clear").addEventListener("click", () => {
      byId("user").value = "";
      byId("user").focus();
      onChoose({ user: null });
    });
  }

  /**
   * @param {import("./notificationsstate.js").State} state
   * @param {object | null} me the caller, as far as that is known
   * @param {import("./periods.js").Days | null} days up to today
   */
  show(state, me, days, locale) {
    const [status, channel] = this.selects;
    const statuses = Object.keys(STATUSES).map((name) => [name, locale.t(`status_${name}`)]);
    offer(status, [["", locale.t("anyStatus")], ...statuses], state.status);
    const known = me?.channels ?? [];
    const others = [state.channel].filter((one) => one !== null && !known.includes(one));
    const channels = [...known, ...others].map((one) => [one, channelName(one, locale)]);
    offer(channel, [["", locale.t("anyChannel")], ...channels], state.channel);
    byId("tenant-field").hidden = me?.tenant !== "operator";
    byId("user-clear").hidden = state.user === null;
    for (const input of this.texts) this.write(input, state[input.name]);
    this.showRange(state.range, days, locale);
    this.sumUp(state, locale);
  }

  /** Forget a range that somebody has begun to choose. */
  forgetRange() {
    this.shown.range = null;
  }

  /** Whatever is being chosen stays, until another range is shown. */
  showRange(range, days, locale) {
    const shown = [rangeText(range), days?.keys.at(-1), locale.language].join();
    if (shown === this.shown.range) return;
    this.shown.range = shown;
    this.range.show({ mode: "daily", range }, days?.keys ?? null, days, locale);
    if (days) this.range.begin(days.keys.at(-LAST_DAYS), days.keys.at(-1));
  }

  /** Whatever is being typed stays. */
  write(input, value) {
    if (value === this.shown[input.name]) return;
    this.shown[input.name] = value;
    input.value = value ?? "";
  }

  /** Show the selection as text if the controls are collapsed, as on a phone. */
  sumUp({ user, tenant }, locale) {
    const chosen = [...this.selects, this.range.select].map((select) => select.selectedOptions[0].textContent);
    const names = document.body.dataset.page === "notifications" ? chosen : [];
    const parts = [...names, user, tenant].filter(Boolean);
    byId("controls-toggle").textContent = parts.join(`${locale.t("comma")} `) || locale.t("filterTitle");
  }
}

/** Replace the options of `select` if they differ. */
function offer(select, options, value) {
  const made = options.map(([name, text]) => h("option", { value: name }, text));
  if (select.textContent !== made.map((one) => one.textContent).join("")) select.replaceChildren(...made);
  select.value = value ?? "";
}
