/** A dialog whose form does something, which the server may refuse. */

import { ApiError } from "./api.js";
import { byId } from "./dom.js";

/**
 * A subclass has `act()`, which does what the dialog is opened for and gives the words for it, and `refused(error)`.
 */
export class ActionDialog {
  /**
   * @param {string} name the id of the dialog, and the prefix of those of its parts
   * @param {(said: string, notes?: string[]) => void} onDone the action was, or may have been, performed; `said` describes it
   * @param {(error: ApiError) => void} onKey the key is refused
   */
  constructor(name, onDone, onKey) {
    Object.assign(this, { onDone, onKey });
    this.dialog = byId(name);
    this.yes = byId(`${name}-yes`);
    byId(`${name}-no`).addEventListener("click", () => this.dialog.close());
    byId(`${name}-form`).addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  async submit() {
    this.yes.disabled = true;
    try {
      const { said, notes } = await this.act();
      this.dialog.close();
      this.onDone(said, notes);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 401) return this.refused(error);
      this.dialog.close();
      this.onKey(error);
    }
  }
}
