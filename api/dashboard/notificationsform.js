/** A form in a dialog, with what is wrong said at each field. */

import { ActionDialog } from "./actiondialog.js";
import { ApiError } from "./api.js";
import { byId, h } from "./dom.js";
import { reasonOf } from "./notices.js";

export class FormDialog extends ActionDialog {
  constructor(onDone, onKey) {
    super("form", onDone, onKey);
    this.fields = byId("form-fields");
  }

  /**
   * @param {string} title
   * @param {Node[]} fields made by `textField` and `choiceField`
   * @param {(form: HTMLFormElement) => Promise<{ said: string, notes?: string[] }>} save
   */
  open(title, fields, save, locale) {
    Object.assign(this, { act: () => save(byId("form-form")), locale });
    byId("form-title").textContent = title;
    this.fields.replaceChildren(...fields);
    this.say([]);
    this.yes.disabled = false;
    this.dialog.showModal();
    (this.fields.querySelector("input:enabled") ?? byId("form-title")).focus();
  }

  refused(error) {
    this.yes.disabled = false;
    const name = error.status === 0 ? "failed_network" : "failed_other";
    const whole = { parameter: "", detail: this.locale.t(name, { reason: reasonOf(error, this.locale) }) };
    this.say(error.errors.length > 0 ? error.errors : [whole]);
  }

  /** @param {{ parameter: string, detail: string, code?: string }[]} errors each goes to its field, else below all */
  say(errors) {
    const places = [...this.fields.querySelectorAll("[data-error]")];
    const placeOf = ({ parameter }) =>
      places.find(({ dataset }) => dataset.error.split(" ").some((name) => within(name, parameter))) ??
      byId("form-error");
    const said = new Map([...places, byId("form-error")].map((place) => [place, []]));
    for (const error of errors) said.get(placeOf(error)).push(this.sentence(error));
    for (const [place, details] of said) place.textContent = [...new Set(details)].join(" ");
    for (const input of this.fields.querySelectorAll("input")) {
      const describer = document.getElementById(input.getAttribute("aria-describedby"));
      input.setAttribute("aria-invalid", String(Boolean(describer?.textContent)));
    }
    this.fields.querySelector('input[aria-invalid="true"]')?.focus();
  }

  /** What is wrong, in the language of the page; what it has no words for, in those of the server. */
  sentence({ code, detail }) {
    const name = `field_${code}`;
    return this.locale.has(name) ? this.locale.t(name) : detail;
  }
}

/** An error that the page itself finds, as the API says it. */
export function wrong(errors) {
  return new ApiError(400, { errors });
}

/** Whether `parameter` is `name`, or a part of it such as `modes.0`. */
const within = (name, parameter) => parameter === name || parameter.startsWith(`${name}.`);

/** @param {Record<string, string | boolean | null>} attributes of the input */
export function textField(name, label, attributes = {}) {
  const [id, errorId] = [`form-${name}`, `form-${name}-error`];
  const plain = { type: "text", dir: "auto", autocomplete: "off", autocapitalize: "off", spellcheck: "false" };
  const input = h("input", { ...plain, id, name, "aria-describedby": errorId, ...attributes });
  return h("div", { class: "field" }, h("label", { for: id }, label), input, errorPlace(name, errorId));
}

/** The field of the tenant, for keys of the operator, who may name another; none for others. */
export function tenantFields(me, state, locale) {
  return me.tenant === "operator" ? [textField("tenant", locale.t("tenantOf"), { value: state.tenant })] : [];
}

/**
 * A group of boxes.
 * @param {"checkbox" | "radio"} type
 * @param {[string, string | Node][]} options value and text of each
 * @param {string[]} chosen
 */
export function choiceField(type, name, label, options, chosen) {
  const errorId = `form-${name}-error`;
  const boxes = options.map(([value, text]) => {
    const box = { type, name, value, checked: chosen.includes(value), "aria-describedby": errorId };
    return h("label", { class: "box" }, h("input", box), " ", text);
  });
  const group = h("div", { class: "boxes" }, ...boxes);
  return h("fieldset", { class: "field" }, h("legend", {}, label), group, errorPlace(name, errorId));
}

const errorPlace = (name, id) => h("p", { class: "field-error", id, role: "alert", dir: "auto", "data-error": name });

/** The text that somebody wrote into a field. */
export const written = (form, name) => form.elements[name]?.value.trim() ?? "";

/** The values of the boxes of that name that are ticked. @returns {string[]} */
export const ticked = (form, name) =>
  [...form.querySelectorAll(`input[name="${name}"]:checked`)].map(({ value }) => value);
