/** The tools in the head of every page: the language, the theme, and forgetting the key or signing out. */

import { key, send } from "./api.js";
import { byId } from "./dom.js";
import { language, switchLanguage, switchTheme, theme } from "./preferences.js";

export class Tools {
  /** @param {() => void} onLanguage the other language was chosen */
  constructor(onLanguage) {
    byId("language").addEventListener("click", () => {
      switchLanguage();
      onLanguage();
    });
    byId("theme").addEventListener("click", () => {
      switchTheme();
      this.showTheme();
    });
    byId("forget").addEventListener("click", async () => {
      if (this.signedIn) await send("DELETE", "/api/session");
      key.forget();
      location.reload(); // so that nothing remains that was shown with the previous key
    });
  }

  /** @param {object | null} me the caller, as far as that is known */
  show(locale, me) {
    this.locale = locale;
    byId("language").textContent = locale.t("otherLanguage");
    byId("language").lang = language() === "fa" ? "en" : "fa";
    const name = me?.key?.name;
    this.signedIn = me?.signed_in ?? false;
    byId("forget").hidden = !name && !this.signedIn;
    byId("forget").textContent = this.signedIn ? locale.t("signOut") : locale.t("keyForget", { name });
    this.showTheme();
  }

  showTheme() {
    byId("theme").textContent = this.locale.t(`theme_${theme()}`);
  }
}
