/** What a person chose for this browser: the language and the theme. boot.js applies them before the first paint. */

const THEMES = ["system", "light", "dark"];
const root = document.documentElement;

/** @returns {"en" | "fa"} */
export const language = () => root.lang;

/** @returns {"system" | "light" | "dark"} */
export const theme = () => root.dataset.theme;

/** Switch to the other language, here and in an address that names one. */
export function switchLanguage() {
  root.lang = root.lang === "fa" ? "en" : "fa";
  root.dir = root.lang === "fa" ? "rtl" : "ltr";
  remember("language", root.lang);
  const address = new URL(location.href);
  if (address.searchParams.has("lang")) {
    address.searchParams.set("lang", root.lang);
    history.replaceState(null, "", address);
  }
}

/** Go from system to light to dark and around. */
export function switchTheme() {
  root.dataset.theme = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  remember("theme", theme());
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Storage is forbidden: the choice lasts as long as the page.
  }
}
