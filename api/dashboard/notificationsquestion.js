/** Asks before something is done that cannot be undone, and does it. */

import { ApiError, post } from "./api.js";
import { byId, h } from "./dom.js";
import { cancellable, retriable } from "./notificationsdetails.js";
import { oneAddress } from "./notificationsstate.js";
import { channelName, theirs } from "./notificationswords.js";

export class Question {
  /**
   * @param {(said: string) => void} onDone something was done, as `said` tells, or may have been
   * @param {(error: ApiError) => void} onKey the key is refused
   */
  constructor(onDone, onKey) {
    this.onDone = onDone;
    this.onKey = onKey;
    this.dialog = byId("question");
    this.yes = byId("question-yes");
    byId("question-no").addEventListener("click", () => this.dialog.close());
    byId("question-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.act();
    });
  }

  /** @param {string | null} channel the only one, or null for all that may be sent again */
  retry(notification, channel, locale) {
    const logs = retriable(notification).filter((log) => channel === null || log.channel === channel);
    const twice = logs.some((log) => log.status === "unknown");
    this.ask("retry", notification, logs, twice ? "twice" : null, locale);
    this.url = oneAddress(notification.id, "/retry");
    this.body = { channels: logs.map((log) => log.channel) };
  }

  cancel(notification, locale) {
    const logs = cancellable(notification);
    const sending = logs.some((log) => log.status === "sending");
    this.ask("cancel", notification, logs, sending ? "underWay" : null, locale);
    this.url = oneAddress(notification.id, "/cancel");
    this.body = {};
  }

  ask(verb, notification, logs, warning, locale) {
    Object.assign(this, { verb, locale });
    byId("question-title").textContent = locale.t(`${verb}Title`);
    byId("question-text").replaceChildren(
      theirs(notification.title),
      ` ${locale.t("to_user")} `,
      theirs(notification.user_id),
    );
    byId("question-logs").replaceChildren(
      ...logs.map(({ channel, status }) =>
        h("li", {}, theirs(channelName(channel, locale)), `: ${locale.t(`log_${status}`)}`),
      ),
    );
    byId("question-warning").textContent = warning ? locale.t(`${verb}_${warning}`) : "";
    byId("question-error").textContent = "";
    this.yes.textContent = locale.t(`${verb}Yes`);
    this.yes.disabled = false;
    this.dialog.showModal();
    byId("question-no").focus();
  }

  async act() {
    this.yes.disabled = true;
    try {
      await post(this.url, this.body);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.refused(error);
      return;
    }
    this.dialog.close();
    this.onDone(this.locale.t(`${this.verb}Done`));
  }

  refused(error) {
    if (error.status === 401) {
      this.dialog.close();
      this.onKey(error);
      return;
    }
    const { locale } = this;
    // Whether the server did it is not known when no answer came, so it is not asked again without a look.
    const again = error.status === 429 || error.status === 503;
    this.yes.disabled = !again;
    const known = { 0: "failed_network", 409: "failed_notPossible" }[error.status];
    byId("question-error").textContent = locale.t(known ?? "failed_other", { reason: locale.apart(error.message) });
    if (!again) this.onDone("");
  }
}
