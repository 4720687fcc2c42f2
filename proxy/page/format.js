// Amounts, shares and moments for people. Money is BigInt nano-dollars from the first byte on: no float touches it.

/** Read an answer; amounts (`nusd`, `…_nusd`) become BigInt. No text within looks like one: its quotes are escaped. */
export function read(text) {
  const quoted = text.replace(/"(nusd|\w+_nusd)":(-?\d+)/g, '"$1":"$2"');
  return JSON.parse(quoted, (name, value) => (/^(\w+_)?nusd$/.test(name) && typeof value === "string" ? BigInt(value) : value));
}

const USD = 1_000_000_000n;

/** Write an amount as the command does: cents from a dollar up, three significant digits below; null is unknown. */
export function usd(nusd) {
  if (nusd === null) return "unknown";
  const size = nusd < 0n ? -nusd : nusd;
  const hidden = String(size).length - 3;
  const step = size >= USD ? USD / 100n : hidden > 0 ? 10n ** BigInt(hidden) : 1n;
  const shown = rounded(size, step) * step;
  const digits = String(shown % USD).padStart(9, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${nusd < 0n ? "−" : ""}$${grouped(shown / USD)}.${digits}`;
}

/** Divide, half to even. */
function rounded(size, step) {
  const [whole, twice] = [size / step, (size % step) * 2n];
  return twice > step || (twice === step && whole % 2n === 1n) ? whole + 1n : whole;
}

/** Group thousands by commas. */
export const grouped = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** A share as a percentage; of nothing it is not applicable. */
export const percent = (share) => (share === null ? "n/a" : `${(share * 100).toFixed(1).replace("-", "−")}%`);

/** One amount of another, as a number for drawing and for percentages only; null of nothing. */
export const ratio = (part, whole) => (Number(whole) === 0 ? null : Number(part) / Number(whole));

/** Credits, which may have thousandths. */
export const credits = (count) => {
  const [whole, rest] = String(count).replace("-", "−").split(".");
  return rest === undefined ? grouped(whole) : `${grouped(whole)}.${rest}`;
};

/** The time of day of a moment in UTC. */
export const clock = (iso) => iso.slice(11, 19);
