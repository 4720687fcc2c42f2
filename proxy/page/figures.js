// What each part of the page shows of the server's figures.
import { clock, credits, grouped, percent, ratio, usd } from "./format.js";
import { bars, el, facts, number, rows, show } from "./draw.js";

const $ = (id) => document.getElementById(id);
const ORDER = ["simple", "medium", "complex"];
const STEPS = {
  baseline: "Baseline", response_cache: "Answers from memory", routing: "Routing",
  prompt_optimisation: "Prompts trimmed", prompt_cache: "Prompt caches", overhead: "Calls of our own", other: "Without a baseline", bill: "Bill",
};
const CHARGE_COLUMNS = [["Time", "wide"], ["Customer", ""], ["Route, and why", ""], ["Credits", "n wide"], ["Revenue", "n wide"], ["Cost", "n"]];
const LOW_SHARE = 0.1;

/** Show everything but the charges. */
export function showFigures(found) {
  showMargin($("today"), "Today", found.today);
  showMargin($("to-date"), `${monthName(found.month)} to date`, found.to_date);
  showTarget($("target"), found.target);
  showWaterfall(found);
  showTiers(found.tiers);
  rows($("customer-rows").tBodies[0], found.customers.map((each) => [each.customer, customerCells(each)]), "No customer has used or paid anything this month.");
  const more = found.customers_total - found.customers.length;
  show($("customers-more"), more > 0 ? `And ${grouped(more)} more that lose less; penstock report margin lists all.` : "");
  showPlans(found.plans);
}

/** Show the last charges of all customers. */
export function showCharges(found) {
  chargeRows($("charges"), found, "Nothing was charged yet.");
}

/** Show one customer's details: none without a name, a sentence where there is no such customer. */
export function showCustomer(name, found) {
  $("customer").hidden = name === null;
  if (name === null) return;
  show($("customer-h"), name);
  show($("customer-facts"), ...facts(found === null ? [["Unknown", "There is no such customer."]] : customerFacts(found)));
  chargeRows($("customer-charges"), found === null ? [] : found.charges, "None of the last 20,000 charges is this customer's.");
}

const monthName = (month) => new Date(`${month}-15T00:00Z`).toLocaleString("en", { month: "long", timeZone: "UTC" });
const sign = (nusd) => (nusd < 0n ? "loss" : nusd > 0n ? "gain" : "");
const margin = (row) => (row.margin === null ? "n/a" : percent(row.margin));
const earned = ({ margin_nusd: nusd }) => (nusd < 0n ? `${usd(-nusd)} loss` : usd(nusd));

function showMargin(card, title, row) {
  show(card, el("h3", {}, title),
    el("p", { class: `big ${sign(row.margin_nusd)}` }, margin(row)),
    el("dl", { class: "facts" }, ...facts([
      ["Margin", earned(row)], ["Revenue", usd(row.revenue_nusd)], ["Cost", usd(row.cost_nusd)], ["Requests", grouped(row.requests)],
    ])));
}

function showTarget(card, found) {
  const title = el("h3", {}, "Against target");
  if (found === null) {
    show(card, title, el("p", { class: "hint" }, "No customer's plan states a target_margin."));
    return;
  }
  const over = found.margin_nusd - found.aimed_nusd;
  const said = `${usd(over < 0n ? -over : over)} ${over < 0n ? "short" : "above"}`;
  const drawn = found.margin === null ? [] : [
    bars(`Margin ${percent(found.margin)}, target ${percent(found.target)}`,
      [{ from: 0, to: Math.min(Math.max(found.margin, 0), 1), kind: over < 0n ? "worse" : "better" }], found.target)];
  show(card, title, el("p", { class: `big ${over < 0n ? "loss" : "gain"}` }, said), ...drawn,
    el("dl", { class: "facts" }, ...facts([
      ["Aimed at", `${usd(found.aimed_nusd)}, ${percent(found.target)}`], ["Earned", `${usd(found.margin_nusd)}, ${percent(found.margin)}`],
      ["On plans with a target", `${grouped(found.customers)} ${found.customers === 1 ? "customer" : "customers"}`],
    ])));
}

/** Draw each step from where the one before it ended. */
function showWaterfall({ waterfall, unpriced }) {
  const amounts = Object.fromEntries(waterfall.map(({ step, nusd }) => [step, nusd]));
  let at = 0n;
  const spans = waterfall.map(({ step, nusd }) => {
    const from = step === "baseline" || step === "bill" ? 0n : at;
    at = from + nusd;
    return { step, nusd, from, to: at };
  });
  const ends = spans.flatMap(({ from, to }) => [from, to]);
  const [low, high] = [ends.reduce((a, b) => (a < b ? a : b)), ends.reduce((a, b) => (a > b ? a : b))];
  const place = (nusd) => ratio(nusd - low, high - low) ?? 0;
  const wanted = spans.filter(({ step, nusd }) => nusd !== 0n || step === "baseline" || step === "bill" || step === "routing");
  rows($("waterfall").tBodies[0], wanted.map(({ step, nusd, from, to }) => {
    const isTotal = step === "baseline" || step === "bill";
    const kind = isTotal ? "total" : nusd < 0n ? "better" : "worse";
    const signed = !isTotal && nusd > 0n ? `+${usd(nusd)}` : usd(nusd);
    return [step, [el("th", { scope: "row" }, STEPS[step]),
      el("td", { class: "bar" }, bars(`${STEPS[step]}: ${signed}`, [{ from: place(from), to: place(to), kind }])),
      number(signed, isTotal ? "" : kind === "better" ? "gain" : "loss")]];
  }));
  const saved = amounts.baseline - amounts.bill + amounts.other;
  const share = ratio(saved, amounts.baseline);
  const unknown = unpriced ? ` Of ${grouped(unpriced)} requests baseline or cost is not known.` : "";
  show($("saved"), share === null ? `There is no baseline yet.${unknown}` : `Saved ${usd(saved)}, ${percent(share)} of the baseline.${unknown}`);
}

const rank = ({ tier }) => (ORDER.includes(tier) ? ORDER.indexOf(tier) : ORDER.length);
const tierName = (tier) => tier || "no charge";
const tierKind = (tier) => `tier-${ORDER.includes(tier) ? tier : "none"}`;
const badge = (tier) => el("span", { class: `badge ${tierKind(tier)}` }, tierName(tier));

function showTiers(found) {
  const tiers = [...found].sort((a, b) => rank(a) - rank(b));
  const [requests, spend] = [tiers.reduce((sum, each) => sum + each.requests, 0), tiers.reduce((sum, each) => sum + each.cost_nusd, 0n)];
  show($("shares"), ...shares("Requests", tiers, (each) => ratio(each.requests, requests)), ...shares("Spend", tiers, (each) => ratio(each.cost_nusd, spend)));
  rows($("tiers").tBodies[0], tiers.map((each) => [each.tier || "none", [
    el("th", { scope: "row" }, badge(each.tier)), number(grouped(each.requests)), number(percent(ratio(each.requests, requests))),
    number(usd(each.cost_nusd)), number(percent(ratio(each.cost_nusd, spend))),
  ]]), "No request was answered this month.");
}

function shares(title, tiers, share) {
  let at = 0;
  const parts = tiers.map((each) => ({ from: at, to: (at += Math.max(share(each) ?? 0, 0)), kind: tierKind(each.tier) })).filter(({ from, to }) => to > from);
  const said = tiers.map((each) => `${tierName(each.tier)} ${percent(share(each))}`).join(", ");
  return [el("p", { class: "label" }, title), bars(`${title} by tier: ${said || "none"}`, parts)];
}

function customerCells(each) {
  return [
    el("th", { scope: "row" }, el("a", { href: `#customer=${encodeURIComponent(each.customer)}` }, each.customer), ...lowCredits(each)),
    el("td", { class: "wide" }, each.plan), number(grouped(each.requests), "wide"), number(usd(each.revenue_nusd), "wide"),
    number(usd(each.cost_nusd), "wide"), number(usd(each.margin_nusd), sign(each.margin_nusd)), number(margin(each), sign(each.margin_nusd)),
    el("td", { class: "n wide" }, ...creditsLeft(each)),
  ];
}

/** What a customer has left; a plan that asks for none only counts them. */
const creditsLeft = ({ credits: { available }, enforce }) => (enforce === "none" ? [el("span", { class: "hint" }, "none needed")] : [credits(available)]);

/** Say that a customer's credits run out, where its plan needs any. */
function lowCredits({ credits: { available, spent }, enforce }) {
  const isLow = enforce !== "none" && available < LOW_SHARE * (available + spent);
  return isLow ? [" ", el("span", { class: "badge low" }, available > 0 ? "credits run out" : "credits used up")] : [];
}

function customerFacts(found) {
  const { credits: balance } = found;
  const target = found.target === null ? "" : `, target ${percent(found.target)}`;
  return [
    ["Plan", found.plan], ["Margin this month", `${margin(found)}${target}: ${earned(found)}`], ["Margin today", `${margin(found.today)}: ${earned(found.today)}`],
    ["Revenue", usd(found.revenue_nusd)], ["Cost", usd(found.cost_nusd)], ["Requests", grouped(found.requests)], ["Saved", usd(found.savings_nusd)],
    ["Credits left", ...creditsLeft(found), ...lowCredits(found)], ["Held, spent, expired", [balance.held, balance.spent, balance.expired].map(credits).join(", ")],
  ];
}

function chargeRows(table, found, empty) {
  if (!table.tHead.rows.length) table.tHead.append(el("tr", {}, ...CHARGE_COLUMNS.map(([name, kind]) => el("th", { scope: "col", class: kind }, name))));
  rows(table.tBodies[0], found.map((each) => [each.id, chargeCells(each)]), empty);
}

function chargeCells(each) {
  const moved = each.served_tier === each.charge_tier ? [] : [" served as ", badge(each.served_tier)];
  const ended = each.is_reversed ? " · reversed" : each.outcome === "ok" ? "" : ` · ${each.outcome.replaceAll("_", " ")}`;
  return [
    el("td", { class: "wide" }, el("time", { datetime: each.at, title: each.id }, clock(each.at))), el("th", { scope: "row" }, each.customer),
    el("td", {}, badge(each.charge_tier), ...moved, ` ${each.model}${ended}`, el("p", { class: "why" }, each.why.join("; ") || "no reason is on record")),
    number(credits(each.credits), "wide"), number(usd(each.revenue_nusd), "wide"), number(usd(each.cost_nusd)),
  ];
}

function showPlans(plans) {
  const select = $("plan");
  if (select.options.length !== plans.length + 1) select.replaceChildren(select.options[0], ...plans.map((plan) => el("option", {}, plan)));
}
