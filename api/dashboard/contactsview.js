/** The page of contacts: where users are reached. */

import { getDocument, send } from "./api.js";
import { byId, factList, h } from "./dom.js";
import { tenantFields, textField, written, wrong } from "./notificationsform.js";
import { EntriesView, getList } from "./notificationslist.js";
import { contactsAddress, usersAddress } from "./notificationsstate.js";
import { channelName, itemButton, theirs } from "./notificationswords.js";

const TEXTS = {
  title: "contactsTitle",
  add: "addUser",
  list: "contactsList",
  listed: "contactsListed",
  none: "noContacts",
  noMatch: "noContactsMatch",
};

export class ContactsView extends EntriesView {
  /** @param {import("./notificationspage.js").NotificationsPage} page */
  constructor(page) {
    super(page, TEXTS);
    byId("list").addEventListener("click", (event) => {
      const button = event.target.closest("button[data-verb]");
      if (!button) return;
      const one = page.shown.items.find(({ user_id: user }) => user === button.dataset.user);
      if (button.dataset.verb === "edit") this.edit(one);
      else this.remove(one);
    });
  }

  async load(state, _days, signal) {
    if (state.user === null) return getList(usersAddress(state), signal);
    const one = await getDocument(contactsAddress(state.user, state.tenant ?? this.page.me.tenant), signal);
    return { items: Object.keys(one.contacts).length > 0 ? [one] : [], next: null };
  }

  row(one, locale) {
    const addresses = Object.entries(one.contacts).map(([channel, address]) => [
      channelName(channel, locale),
      theirs(address, { dir: "ltr" }),
    ]);
    const button = (verb) => {
      const attributes = { "data-key": `${verb}:${one.user_id}`, "data-verb": verb, "data-user": one.user_id };
      return itemButton(locale.t(verb), one.user_id, attributes, locale);
    };
    return h(
      "li",
      { class: "item", "data-key": one.user_id },
      h("span", { class: "item-title" }, theirs(one.user_id)),
      h("div", { class: "item-details" }, factList(addresses)),
      h("div", { class: "item-actions" }, button("edit"), button("remove")),
    );
  }

  add() {
    this.edit(null);
  }

  /** @param {object | null} one a user with contacts, or null for another */
  edit(one) {
    const { form, locale, me, state } = this.page;
    if (me === null) return;
    const contacts = one?.contacts ?? {};
    const channels = [...new Set([...me.channels, ...Object.keys(contacts)])];
    const address = (channel) =>
      textField(`contacts.${channel}`, channelName(channel, locale), { dir: "ltr", value: contacts[channel] ?? null });
    const user = one
      ? []
      : [textField("user_id", locale.t("filterUser"), { value: state.user }), ...tenantFields(me, state, locale)];
    const title = one ? locale.t("editTitle", { user: locale.apart(one.user_id) }) : locale.t("addUserTitle");
    form.open(title, [...user, ...channels.map(address)], (filled) => save(filled, one, channels, locale), locale);
  }

  remove(one) {
    const { locale, question } = this.page;
    const items = Object.entries(one.contacts).map(([channel, address]) =>
      h("li", {}, theirs(channelName(channel, locale)), ": ", theirs(address)),
    );
    const act = async () => {
      await send("PUT", contactsAddress(one.user_id, one.tenant), { contacts: {} });
      return { said: locale.t("removeDone") };
    };
    const warning = locale.t("removeNote");
    question.ask({ verb: "remove", about: [theirs(one.user_id)], items, warning, act }, locale);
  }
}

async function save(form, one, channels, locale) {
  const user = one?.user_id ?? written(form, "user_id");
  const url = contactsAddress(user, one?.tenant ?? (written(form, "tenant") || null));
  const given = channels.map((channel) => [channel, written(form, `contacts.${channel}`)]);
  const contacts = Object.fromEntries(given.filter(([, address]) => address !== ""));
  if (user === "") throw wrong([{ parameter: "user_id", detail: locale.t("missing_user_id") }]);
  if (Object.keys(contacts).length === 0) throw wrong([{ parameter: "", detail: locale.t("missing_contacts") }]);
  // Saving replaces all addresses, so those of an existing user must be shown first.
  if (one === null && Object.keys((await getDocument(url)).contacts).length > 0) {
    throw wrong([{ parameter: "user_id", detail: locale.t("userIsThere") }]);
  }
  await send("PUT", url, { contacts });
  return { said: locale.t("contactsSaved") };
}
