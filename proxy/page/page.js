// Asks the server every two seconds, and shows what it says. Which part shows what stands in `figures.js`.
import { clock, read } from "./format.js";
import { showCharges, showCustomer, showFigures } from "./figures.js";
import { showAnswer } from "./playground.js";

const POLL_MS = 2_000;
const KEY = "penstock-admin-key";
const $ = (id) => document.getElementById(id);
let [isPaused, timer, asked] = [false, null, 0];

/** What the server said instead of an answer; status 0: nothing. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Ask `/admin/page/…`; amounts come as BigInt. */
async function ask(path, body) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...(key && { authorization: `Bearer ${key}` }), ...(body && { "content-type": "application/json" }) };
  const request = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) };
  const answer = await fetch(`/admin/page/${path}`, request).catch(() => {
    throw new Refused(0, "The server does not answer; trying again.");
  });
  const found = read(await answer.text());
  if (!answer.ok) throw new Refused(answer.status, found.error.message);
  return found;
}

/** The customer whose details are open, by the address; null when none are. */
function chosen() {
  const found = new URLSearchParams(location.hash.slice(1)).get("customer");
  return found === null || found === "" ? null : found;
}

async function refresh() {
  const [name, turn] = [chosen(), ++asked];
  try {
    const customer = name === null ? null : ask(`customer?customer=${encodeURIComponent(name)}`).catch(unknown);
    const [figures, charges, one] = await Promise.all([ask("figures"), ask("charges"), customer]);
    if (turn !== asked) return; // a later one was begun
    lock(null);
    showFigures(figures);
    showCharges(charges);
    showCustomer(name, one);
    say(`${isPaused ? "Paused" : "Live"} · as of ${clock(figures.as_of)} UTC`, isPaused ? "" : "live");
  } catch (error) {
    if (error.status === 401 || error.status === 403) lock(error);
    else if (error instanceof Refused) say(error.message, "away");
    else throw error; // a bug of the page's: the console has it
  }
}

function unknown(error) {
  if (error.status !== 404) throw error;
  return null;
}

/** Say how things are; heard only when it changes in kind, not with every second. */
function say(text, kind) {
  const status = $("status");
  status.setAttribute("aria-live", status.className === kind ? "off" : "polite");
  [status.textContent, status.className] = [text, kind];
}

/** Ask for a key where one is needed; null: none is. */
function lock(error) {
  $("main").hidden = $("pause").hidden = error !== null;
  $("lock").hidden = error === null;
  if (error === null) return;
  const tried = sessionStorage.getItem(KEY) !== null;
  say(tried ? error.message : "A key is needed.", "away");
  sessionStorage.removeItem(KEY);
}

async function poll() {
  clearTimeout(timer);
  timer = setTimeout(poll, POLL_MS);
  if (!document.hidden && !isPaused && $("lock").hidden) await refresh();
}

$("lock").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("key").value.trim());
  $("key").value = "";
  refresh();
});

$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", isPaused);
  refresh();
});

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const plan = $("plan").value;
  try {
    showAnswer($("answer"), await ask("explain", { prompt: $("prompt").value, model: $("model").value, ...(plan && { plan }) }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showAnswer($("answer"), null, error.message);
  }
});

$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});

addEventListener("hashchange", async () => {
  await refresh();
  if (chosen() !== null) $("customer-h").focus();
});
document.addEventListener("visibilitychange", poll);
poll();
