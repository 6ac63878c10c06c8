/** Which notifications the list shows. */

import { byId } from "./dom.js";

export class Filter {
  /** @param {(filter: { status: string | null, user: string | null }) => void} onChoose */
  constructor(onChoose) {
    this.form = byId("filter");
    this.user = byId("user");
    const choose = () =>
      onChoose({ status: this.form.elements.status.value || null, user: this.user.value.trim() || null });
    this.form.addEventListener("change", choose);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      choose();
    });
    byId("user-clear").addEventListener("click", () => {
      this.user.value = "";
      this.user.focus();
      choose();
    });
  }

  show({ status, user }) {
    for (const input of this.form.elements.status) input.checked = input.value === (status ?? "");
    byId("user-clear").hidden = user === null;
    if (user === this.shown) return; // whatever is being typed stays
    this.shown = user;
    this.user.value = user ?? "";
  }
}
