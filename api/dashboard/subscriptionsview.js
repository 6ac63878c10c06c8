/** The page of subscriptions: who is notified of which summaries. */

import { ApiError, address, getDocument, send } from "./api.js";
import { byId, h } from "./dom.js";
import { nameAndId } from "./merchantnames.js";
import { choiceField, tenantFields, textField, ticked, written, wrong } from "./notificationsform.js";
import { EntriesView, getList } from "./notificationslist.js";
import { subscriptionsAddress } from "./notificationsstate.js";
import { channelName, instant, itemButton, theirs } from "./notificationswords.js";

const MODES = ["daily", "weekly", "monthly"];
const LANGUAGES = ["fa", "en"];
const TEXTS = {
  title: "subscriptionsTitle",
  add: "subscribe",
  list: "subscriptionsList",
  listed: "subscriptionsListed",
  none: "noSubscriptions",
  noMatch: "noSubscriptionsMatch",
};
const SUBSCRIPTIONS = "/api/subscriptions";
const SUGGESTED = 20;
const PAUSE_MS = 150;

export class SubscriptionsView extends EntriesView {
  /** @param {import("./notificationspage.js").NotificationsPage} page */
  constructor(page) {
    super(page, TEXTS);
    byId("list").addEventListener("click", (event) => {
      const id = event.target.closest("button[data-key]")?.dataset.key;
      if (id) this.end(page.shown.items.find((one) => one.id === id));
    });
  }

  load(state, _days, signal) {
    return getList(subscriptionsAddress(state, this.page.locale.language), signal);
  }

  row(one, locale) {
    return h(
      "li",
      { class: "item", "data-key": one.id },
      h("span", { class: "item-title" }, ...merchantOf(one, locale)),
      h("span", { class: "item-user" }, `${locale.t("to_user")} `, theirs(one.user_id)),
      h("span", { class: "item-details muted" }, details(one, locale), tenantOf(one, locale)),
      h("span", { class: "item-time muted" }, instant(one.created_at, locale.ago(one.created_at), locale)),
      itemButton(locale.t("end"), one.user_id, { "data-key": one.id }, locale),
    );
  }

  add() {
    const { form, locale, me, state } = this.page;
    if (me === null) return;
    const all = me.scopes.includes("summaries");
    const channels = me.channels.map((channel) => [channel, theirs(channelName(channel, locale))]);
    const known = me.merchants.map((merchant) => h("option", { value: merchant })); // until a search finds more
    const merchants = h("datalist", { id: "form-merchants" }, ...known);
    const merchant = textField("merchant_id", locale.t("merchant"), { list: "form-merchants" });
    if (me.published && (all || me.merchants.length > 0)) suggest(merchant.querySelector("input"), merchants, locale);
    const fields = [
      textField("user_id", locale.t("filterUser"), { value: state.user }),
      ...tenantFields(me, state, locale),
      merchant,
      merchants,
      ...(all ? [choiceField("checkbox", "all_merchants", "", [["true", locale.t("allMerchantsTogether")]], [])] : []),
      choiceField("checkbox", "modes", locale.t("periods"), named(MODES, locale), []),
      choiceField("checkbox", "channels", locale.t("channels"), channels, []),
      choiceField("radio", "locale", locale.t("languageOfMessages"), languages(locale), [locale.language]),
    ];
    const together = fields.flatMap((field) => [...field.querySelectorAll('[name="all_merchants"]')])[0];
    together?.addEventListener("change", () => {
      merchant.querySelector("input").disabled = together.checked;
    });
    form.open(locale.t("subscribeTitle"), fields, (filled) => subscribe(filled, locale), locale);
  }

  end(one) {
    const { locale, question } = this.page;
    const about = [theirs(one.user_id), ": ", ...merchantOf(one, locale)];
    const items = [h("li", {}, details(one, locale))];
    const act = async () => {
      await send("DELETE", `${SUBSCRIPTIONS}/${one.id}`);
      return { said: locale.t("endDone") };
    };
    question.ask({ verb: "end", about, items, warning: locale.t("endNote"), act }, locale);
  }
}

/** Offer merchants that have what is typed in their id or in one of their names; the id of the chosen one is entered. */
function suggest(input, merchants, locale) {
  let [pause, searching] = [null, new AbortController()];
  const search = async () => {
    searching.abort();
    searching = new AbortController();
    const { signal } = searching;
    const question = { search: input.value.trim() || null, locale: locale.language, limit: SUGGESTED };
    try {
      const found = await getDocument(address("/api/merchants", question), signal);
      merchants.replaceChildren(
        ...found.merchants.map((one) => h("option", { value: one.merchant_id }, one.name ?? "")),
      );
    } catch (error) {
      if (!signal.aborted && !(error instanceof ApiError)) throw error; // any merchant may be typed
    }
  };
  input.addEventListener("focus", search);
  input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(search, PAUSE_MS);
  });
}

async function subscribe(form, locale) {
  const all = ticked(form, "all_merchants").length > 0;
  const user = written(form, "user_id");
  const merchant = written(form, "merchant_id");
  const [modes, channels] = [ticked(form, "modes"), ticked(form, "channels")];
  const missing = { user_id: user, merchant_id: all || merchant, modes: modes.length, channels: channels.length };
  const errors = Object.entries(missing).filter(([, value]) => !value);
  if (errors.length > 0) {
    throw wrong(errors.map(([name]) => ({ parameter: name, detail: locale.t(`missing_${name}`) })));
  }
  const whose = all ? { all_merchants: true } : { merchant_id: merchant };
  const body = { user_id: user, ...whose, modes, channels, locale: ticked(form, "locale")[0] };
  const { warnings } = await send("POST", address(SUBSCRIPTIONS, { tenant: written(form, "tenant") || null }), body);
  const codes = [...new Set(warnings.map(({ code }) => code))];
  return { said: locale.t("subscribeDone"), notes: codes.map((code) => locale.t(`warning_${code}`)) };
}

const named = (modes, locale) => modes.map((mode) => [mode, locale.t(`each_${mode}`)]);
const languages = (locale) => LANGUAGES.map((one) => [one, locale.t(`language_${one}`)]);

const merchantOf = (one, locale) =>
  one.all_merchants
    ? [locale.t("allMerchantsTogether")]
    : nameAndId({ merchant_id: one.merchant_id, name: one.merchant_name });
const tenantOf = (one, locale) =>
  one.tenant === "operator" ? "" : ` · ${locale.t("tenant")}: ${locale.apart(one.tenant)}`;

function details({ modes, channels, locale: lang }, locale) {
  const lists = [named(modes, locale).map(([, text]) => text), channels.map((one) => channelName(one, locale))];
  const parts = lists.map((list) => locale.apart(list.join(locale.t("listComma"))));
  return [...parts, locale.t(`language_${lang}`)].join(" · ");
}
