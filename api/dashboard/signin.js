/** The page of a sign-in link: it exchanges the token after the `#`, which no server sees, for a session. */

import { ApiError, key, send } from "./api.js";
import { byId } from "./dom.js";
import { Locale, translate } from "./locale.js";
import { language } from "./preferences.js";

const locale = new Locale(language());
let token = "";

function start() {
  token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname); // a token does not stay in the history
  signIn();
}

async function signIn() {
  byId("retry").hidden = true;
  byId("state").textContent = locale.t("signInUnderWay");
  try {
    await send("POST", "/api/session", { token });
    key.forget(); // of this tab: the session is to count
    location.replace("/");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const isOver = error.slug === "bad-link" || error.slug === "bad-parameter";
    const reason = error.message || locale.t("error_network");
    byId("state").textContent = locale.t(isOver ? "signInBadLink" : "signInFailed", { reason });
    byId("retry").hidden = isOver;
  }
}

translate(locale);
byId("retry").addEventListener("click", signIn);
addEventListener("hashchange", start); // another link in the same tab
start();
