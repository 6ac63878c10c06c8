// Runs before the first paint, so that language and theme do not change visibly.
(() => {
  const remembered = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage may be forbidden
    }
  };
  const asked = new URLSearchParams(location.search).get("lang");
  const spoken = navigator.language.startsWith("fa") ? "fa" : "en";
  const language = [asked, remembered("language"), spoken].find((one) => one === "fa" || one === "en");
  const theme = remembered("theme");
  const root = document.documentElement;
  root.lang = language;
  root.dir = language === "fa" ? "rtl" : "ltr";
  root.dataset.theme = theme === "light" || theme === "dark" ? theme : "system";
})();
