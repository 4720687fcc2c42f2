// What the playground answers: how a request would be judged, where it would go, and what it could cost.
import { credits, percent, usd } from "./format.js";
import { bars, el, facts } from "./draw.js";

const UNCACHED = {
  off: "the cache of responses is off", varied: "its temperature is too high", choices: "it asks for several choices",
  tools: "it has tools, and does not say temperature 0", audio: "its answer is audio",
  search: "its answer depends on a search", stored: "its answer is to be stored at the provider",
};

/** Show an answer, or the sentence that says why there is none. */
export function showAnswer(node, found, refused) {
  if (found === null) node.replaceChildren(el("p", { class: "loss" }, refused));
  else node.replaceChildren(...answer(found));
}

function answer(found) {
  const isMoved = found.charge_tier !== found.served_tier;
  const route = isMoved ? `charged as ${found.charge_tier}, served as ${found.served_tier}` : found.served_tier;
  return [
    el("p", { class: "verdict" }, "Goes to ", el("strong", {}, found.model), ` at ${found.provider}: `, el("strong", {}, route)),
    el("ul", { class: "reasons" }, ...found.why.map((reason) => el("li", {}, reason))),
    ...Object.entries(found.probabilities).flatMap(([tier, share]) => [
      el("p", { class: "label" }, `${tier} ${percent(share)}`), bars(`Probability of ${tier}: ${percent(share)}`, [{ from: 0, to: share, kind: `tier-${tier}` }]),
    ]),
    el("dl", { class: "facts" }, ...facts([
      ["Judged", `${found.tier}, task: ${found.task} (${found.calibration})`], ["Plan", found.plan],
      ["Charged", found.credits === null ? `by its usage, ${credits(found.credits_max)} credits at most` : `${credits(found.credits)} ${found.credits === 1 ? "credit" : "credits"}`],
      ["Costs us at most", usd(found.ceiling_nusd)], ["Baseline", found.baseline ?? "none"], ["If that fails", found.fallbacks.join(", ") || "nothing else may serve it"],
      ["Asked again", found.cache_why === null ? "answered from memory, for a while" : `never from memory: ${UNCACHED[found.cache_why]}`],
    ])),
  ];
}
