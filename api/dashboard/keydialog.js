/** Asks for the key when the server wants one. */

import { ApiError, getDocument, key } from "./api.js";
import { byId } from "./dom.js";

/** Visible ASCII: what a header can carry. */
const SENDABLE = /^[\x21-\x7e]+$/;

export class KeyDialog {
  /** @param {() => void} onAccepted a key that the server accepts is in place */
  constructor(onAccepted) {
    this.onAccepted = onAccepted;
    this.dialog = byId("key-dialog");
    this.field = byId("key");
    this.error = byId("key-error");
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    // Without a key there is nothing behind the dialog.
    this.dialog.addEventListener("cancel", (event) => event.preventDefault());
  }

  /** @param {boolean} refused whether the server refused a key */
  ask(locale, refused) {
    this.locale = locale;
    this.say(refused ? locale.t("keyRefused") : "");
    if (!this.dialog.open) this.dialog.showModal();
    this.field.focus();
  }

  async submit() {
    const pasted = this.field.value.trim();
    if (!SENDABLE.test(pasted)) {
      this.say(this.locale.t("keyRefused"));
      return;
    }
    key.set(pasted);
    try {
      await getDocument("/api/me");
    } catch (error) {
      key.forget();
      if (!(error instanceof ApiError)) throw error;
      const reason = error.message || this.locale.t("error_network");
      this.say(error.status === 401 ? this.locale.t("keyRefused") : this.locale.t("keyCannotCheck", { reason }));
      this.field.select();
      return;
    }
    this.field.value = "";
    this.dialog.close();
    this.onAccepted();
  }

  say(error) {
    this.error.textContent = error;
    this.field.setAttribute("aria-invalid", String(error !== ""));
  }
}
