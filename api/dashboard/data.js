/** The series of a publication, fetched once each and never mixed with those of another. */

import { address, get, getArray, getDocument, ofOneVersion } from "./api.js";

const SUMMARY = "/api/transactions/summary";

export class Series {
  constructor() {
    this.forget();
  }

  /** Start over, as with another key. */
  forget() {
    this.version = null;
    /** Whole series of `version` by address. */
    this.known = new Map();
  }

  /**
   * What is published, with the whole series of one merchant that the state needs, and with its name.
   * @param {(me: object, merchant: string | null | undefined) => void} meet is called with the caller as soon as it is known
   * @returns {Promise<{ me: object, merchant: string | null | undefined, named: object[],
   *   data: import("./report.js").Data | null }>} data is null when nothing is published or nothing may be seen;
   *   merchant is undefined when none may be seen; named is that merchant as `remember` takes it
   */
  load(state, language, signal, meet) {
    return ofOneVersion(async () => {
      const me = await getDocument("/api/me", signal);
      const merchant = merchantFor(me, state.merchant);
      if (!signal.aborted) meet(me, merchant);
      if (me.published === null || merchant === undefined) return { me, merchant, named: [], data: null };
      const { version } = me.published;
      if (this.version !== version) {
        this.forget();
        this.version = version;
      }
      const wanted = {
        amount: seriesAddress(merchant, state.mode, "amount", language),
        count: seriesAddress(merchant, state.mode, "count", language),
        days: seriesAddress(merchant, "daily", state.type, language),
        all: me.scopes.includes("summaries") ? seriesAddress(null, state.mode, state.type, language) : null,
      };
      const missing = [...new Set(Object.values(wanted))].filter((url) => url !== null && !this.known.has(url));
      const fetching = missing.map(async (url) => [url, await getArray(url, signal, version)]);
      const naming = merchant === null ? [] : this.named(merchant, language, signal);
      const [named, ...fetched] = await Promise.all([naming, ...fetching]);
      const found = new Map([...this.known, ...fetched]);
      // A concurrent load may have found another version.
      if (this.version === version) this.known = found;
      const series = Object.entries(wanted).map(([name, url]) => [name, found.get(url) ?? null]);
      return { me, merchant, named, data: Object.fromEntries(series) };
    }, signal);
  }

  /** The merchant with its name; empty if there is no such merchant, which the request for its series reports. */
  async named(merchant, language, signal) {
    const url = address("/api/merchants", { merchant_id: merchant, locale: language });
    if (!this.known.has(url)) this.known.set(url, (await getDocument(url, signal, this.version)).merchants);
    return this.known.get(url);
  }
}

/** The merchant to show: the one asked for, else all (null) where that is allowed, else the first allowed, if any. */
function merchantFor(me, asked) {
  if (asked !== null) return asked;
  return me.scopes.includes("summaries") ? null : me.merchants[0];
}

/** A period for every key, so that all series have the same positions; each says whether it is complete. */
function seriesAddress(merchant, mode, type, language) {
  return address(SUMMARY, { mode, type, merchant_id: merchant, fill: "zero", include: "period", locale: language });
}

/** The address of the CSV file of what is shown, with the UTF-8 mark that Excel needs for Persian. */
export function csvAddress(state, merchant, points, language) {
  const range = { from: points[0].key, to: points.at(-1).key, fill: "zero" };
  return address(SUMMARY, {
    mode: state.mode,
    type: state.type,
    merchant_id: merchant,
    ...range,
    locale: language,
    format: "csv",
    unit: state.type === "amount" ? "major" : null,
    bom: 1,
  });
}

/** Save the file at `url` although it needs the key, which a link cannot carry. */
export async function download(url, name) {
  const file = URL.createObjectURL(await (await get(url)).blob());
  const link = document.createElement("a");
  link.href = file;
  link.download = name;
  link.click();
  URL.revokeObjectURL(file);
}
