/** Sending again all messages that the filter shows. */

import { send } from "./api.js";
import { byId, h } from "./dom.js";
import { RETRIED } from "./notificationsdetails.js";
import { retryAddress, STATUSES } from "./notificationsstate.js";
import { channelName } from "./notificationswords.js";

/** How many notifications one request examines. */
const AT_ONCE = 100;

/** The statuses of which messages that the filter shows may be sent again. @returns {string[]} */
export function retriableStatuses(counts, { channel, status }) {
  const shown = RETRIED.filter((one) => status === null || STATUSES[status].includes(one));
  return shown.filter((one) => counts.messages(channel, [one]) > 0n);
}

/** Ask which of them, and send them again. @param {import("./notificationsquestion.js").Question} question */
export function askRetryAll(question, counts, state, locale) {
  const { channel, user, status } = state;
  const offered = retriableStatuses(counts, state);
  const chosen = status === null && offered.includes("dead") ? ["dead"] : offered;
  const boxes = offered.map((one) => h("input", { type: "checkbox", value: one, checked: chosen.includes(one) }));
  const statuses = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const number = (value) => locale.integer(value);
  const items = boxes.map((box) => {
    const count = number(counts.messages(channel, [box.value]));
    return h("li", {}, h("label", {}, box, ` ${locale.t(`status_${box.value}`)}: ${count}`));
  });
  const from = { created_from: counts.found.created_from, created_before: counts.found.created_before };
  question.ask(
    {
      verb: "retryAll",
      about: [about(counts, state, locale)],
      items,
      warning: "",
      onChange: () => {
        const n = counts.messages(channel, statuses());
        question.yes.textContent = locale.t("retryAllYes", { n: number(n) });
        question.yes.disabled = n === 0n;
        byId("question-warning").textContent = statuses().includes("unknown") ? locale.t("retry_twice") : "";
      },
      act: async () => {
        const body = { statuses: statuses(), channels: channel && [channel], user_id: user, ...from, limit: AT_ONCE };
        for (const box of boxes) box.disabled = true;
        const { messages, expired } = await sendAll(body, (done) => {
          question.yes.textContent = locale.t("retryAllSoFar", { n: number(done) });
        });
        const said = locale.t("retryAllDone", { n: number(messages) });
        const left = expired > 0n ? ` ${locale.t("retryAllExpired", { n: number(expired) })}` : "";
        return { said: said + left };
      },
    },
    locale,
  );
}

function about(counts, { channel, user }, locale) {
  const parts = [channel && channelName(channel, locale), user && locale.apart(user)].filter(Boolean);
  const whole = locale.t(counts.found.complete ? "retryAllAbout" : "retryAllAboutPartly");
  return parts.length === 0 ? whole : `${whole} (${parts.join(locale.t("listComma"))})`;
}

/** @param {(messages: bigint) => void} onPart so many messages are sent again so far */
async function sendAll(body, onPart) {
  let [messages, expired, cursor] = [0n, 0n, null];
  do {
    const part = await send("POST", retryAddress, { ...body, cursor });
    messages += part.messages;
    expired += part.expired;
    cursor = part.next_cursor;
    onPart(messages);
  } while (cursor !== null);
  return { messages, expired };
}
