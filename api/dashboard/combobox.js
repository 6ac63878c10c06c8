/** The choice of a merchant: a text field that searches, after the ARIA combobox pattern with a list box. */

import { address, getDocument } from "./api.js";
import { announce, byId, h } from "./dom.js";
import { called, nameAndId, remember } from "./merchantnames.js";

const SHOWN = 50;
const PAUSE_MS = 150;

export class MerchantChoice {
  /** @param {(merchant: string | null) => void} onChoose null is all merchants */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.input = byId("merchant");
    this.popup = byId("merchant-popup");
    this.list = byId("merchant-list");
    this.more = byId("merchant-more");
    this.options = [];
    this.active = -1;
    this.searching = new AbortController();
    this.input.addEventListener("click", () => this.open());
    this.input.addEventListener("input", () => this.searchSoon());
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.input.addEventListener("blur", () => this.close());
    // Before blur would close the list.
    this.popup.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.choose(this.options[[...this.list.children].indexOf(option)]);
    });
  }

  /**
   * @param {string | null | undefined} merchant the one that is shown
   * @param {boolean} all whether all merchants together may be chosen
   */
  show(merchant, all, locale) {
    this.merchant = merchant;
    this.all = all;
    this.locale = locale;
    this.refresh();
  }

  /** Show the name of the merchant, if it is known yet. */
  refresh() {
    if (!this.locale || !this.popup.hidden) return;
    this.input.value = this.name();
    this.input.title = this.merchant ?? "";
  }

  name() {
    if (this.merchant) return called(this.merchant, this.locale);
    return this.all ? this.locale.t("allMerchants") : "";
  }

  open() {
    if (!this.popup.hidden || !this.locale) return;
    this.popup.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.input.select();
    this.search("");
  }

  close() {
    clearTimeout(this.pause);
    this.searching.abort();
    this.popup.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.activate(-1);
    this.refresh();
  }

  choose(merchant) {
    const changed = merchant !== this.merchant;
    this.merchant = merchant;
    this.close();
    if (changed) this.onChoose(merchant);
  }

  onKey(event) {
    const closed = this.popup.hidden;
    if (event.key === "Enter") {
      event.preventDefault();
      if (!closed && this.active !== -1) this.choose(this.options[this.active]);
    } else if (event.key === "Escape" && !closed) {
      event.preventDefault();
      this.close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (closed) this.open();
      else this.step(event.key === "ArrowDown" ? 1 : -1);
    }
  }

  step(by) {
    const number = this.options.length;
    if (number > 0) this.activate(this.active === -1 && by < 0 ? number - 1 : (this.active + by + number) % number);
  }

  activate(position) {
    this.list.children[this.active]?.setAttribute("aria-selected", "false");
    this.active = position;
    const option = this.list.children[position];
    if (option) {
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", option.id);
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  searchSoon() {
    if (!this.locale) return;
    this.popup.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.search(this.input.value.trim()), PAUSE_MS);
  }

  /** Only the latest search shows what it found. */
  async search(text) {
    this.searching.abort();
    this.searching = new AbortController();
    const { signal } = this.searching;
    this.more.textContent = this.locale.t("searching");
    try {
      const question = { search: text || null, locale: this.locale.language, limit: SHOWN };
      const found = await getDocument(address("/api/merchants", question), signal);
      if (!signal.aborted) this.fill(found, text);
    } catch (error) {
      if (!signal.aborted) this.more.textContent = this.locale.t(error.status ? "error_other" : "error_network");
    }
  }

  fill({ merchants, total }, text) {
    remember(merchants, this.locale);
    const shownAll = this.all && text === "" ? [null] : [];
    this.options = [...shownAll, ...merchants.map(({ merchant_id: id }) => id)];
    this.list.replaceChildren(...[...shownAll, ...merchants].map((one, position) => this.option(one, position)));
    this.activate(text === "" ? this.options.indexOf(this.merchant) : this.options.length > 0 ? 0 : -1);
    const shown = BigInt(merchants.length);
    const counts = { shown: this.locale.integer(shown), total: this.locale.integer(total) };
    this.more.textContent =
      total === 0n ? this.locale.t("noMerchant") : total > shown ? this.locale.t("moreMerchants", counts) : "";
    announce(this.locale.t("foundMerchants", counts));
  }

  option(merchant, position) {
    const parts = merchant === null ? [this.locale.t("allMerchants")] : nameAndId(merchant);
    return h("li", { role: "option", id: `merchant-${position}`, "aria-selected": "false" }, ...parts);
  }
}
