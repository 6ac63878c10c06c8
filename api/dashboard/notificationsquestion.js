/** The dialog that confirms an action that cannot be undone, and performs it. */

import { ActionDialog } from "./actiondialog.js";
import { send } from "./api.js";
import { byId, h } from "./dom.js";
import { reasonOf } from "./notices.js";
import { cancellable, retriable } from "./notificationsdetails.js";
import { oneAddress } from "./notificationsstate.js";
import { channelName, theirs } from "./notificationswords.js";

export class Question extends ActionDialog {
  constructor(onDone, onKey) {
    super("question", onDone, onKey);
    byId("question-logs").addEventListener("change", () => this.onChange());
  }

  /** @param {string | null} channel the only one, or null for all that may be sent again */
  retry(notification, channel, locale) {
    const logs = retriable(notification).filter((log) => channel === null || log.channel === channel);
    const twice = logs.some((log) => log.status === "unknown");
    const body = { channels: logs.map((log) => log.channel) };
    this.askOfOne("retry", notification, logs, twice ? "twice" : null, body, locale);
  }

  cancel(notification, locale) {
    const logs = cancellable(notification);
    const sending = logs.some((log) => log.status === "sending");
    this.askOfOne("cancel", notification, logs, sending ? "underWay" : null, {}, locale);
  }

  askOfOne(verb, notification, logs, warning, body, locale) {
    this.ask(
      {
        verb,
        about: [theirs(notification.title), ` ${locale.t("to_user")} `, theirs(notification.user_id)],
        items: logs.map(({ channel, status }) =>
          h("li", {}, theirs(channelName(channel, locale)), `: ${locale.t(`log_${status}`)}`),
        ),
        warning: warning ? locale.t(`${verb}_${warning}`) : "",
        act: async () => {
          await send("POST", oneAddress(notification.id, `/${verb}`), body);
          return { said: locale.t(`${verb}Done`) };
        },
      },
      locale,
    );
  }

  /**
   * @param {object} question
   * @param {string} question.verb names its texts
   * @param {(Node | string)[]} question.about what it is about
   * @param {Node[]} question.items list items
   * @param {string} question.warning
   * @param {() => Promise<{ said: string }>} question.act performs the action; returns its description
   * @param {() => void} question.onChange something was chosen among the items
   */
  ask({ verb, about, items, warning, act, onChange = () => {} }, locale) {
    Object.assign(this, { locale, act, onChange });
    byId("question-title").textContent = locale.t(`${verb}Title`);
    byId("question-text").replaceChildren(...about);
    byId("question-logs").replaceChildren(...items);
    byId("question-warning").textContent = warning;
    byId("question-error").textContent = "";
    this.yes.textContent = locale.t(`${verb}Yes`);
    this.yes.disabled = false;
    onChange();
    this.dialog.showModal();
    byId("question-no").focus();
  }

  refused(error) {
    const { locale } = this;
    // Without a response it is unknown whether the server did it, so it is not repeated without a check.
    const again = error.status === 429 || error.status === 503;
    if (again) this.onChange();
    this.yes.disabled = !again;
    const known = { 0: "failed_network", 409: "failed_notPossible" }[error.status];
    byId("question-error").textContent = locale.t(known ?? "failed_other", { reason: reasonOf(error, locale) });
    if (!again) this.onDone("");
  }
}
