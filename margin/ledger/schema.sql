-- The ledger's tables. Entries are never updated or deleted: triggers refuse it.
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, name TEXT NOT NULL, commodity TEXT NOT NULL,
    balance INTEGER NOT NULL DEFAULT 0 CHECK (typeof(balance) = 'integer'), UNIQUE (customer, name, commodity));
CREATE TABLE IF NOT EXISTS txns (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, t INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, txn INTEGER NOT NULL, account INTEGER NOT NULL, amount INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS entries_are_final BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;

-- One row per charged exchange, with its decision record; cost lines stand under it, none under an answer from memory.
-- `spared_nusd`: of such a one, the part of the saving that is the call not made; 0 where there was a call. `marks_nusd`: what marking the call
-- for the provider's prompt cache saved; 0 where it was not marked. `trims_nusd`: the part of the baseline that was left out of
-- the prompt. All lie in the order they came in:
-- in the order of their keys (WITHOUT ROWID) rows this long would make a tree four times as big and twice as deep.
CREATE TABLE IF NOT EXISTS charges (
    x TEXT NOT NULL PRIMARY KEY, t INTEGER NOT NULL, customer INTEGER NOT NULL, key TEXT NOT NULL, plan TEXT NOT NULL,
    plan_version TEXT NOT NULL, charge_tier TEXT NOT NULL, served_tier TEXT NOT NULL, outcome TEXT NOT NULL,
    provider TEXT NOT NULL, deployment TEXT NOT NULL, model TEXT NOT NULL, credits_milli INTEGER NOT NULL,
    revenue_nusd INTEGER NOT NULL, cost_nusd INTEGER, baseline_nusd INTEGER, saving_nusd INTEGER, spared_nusd INTEGER,
    marks_nusd INTEGER, trims_nusd INTEGER NOT NULL, decision TEXT NOT NULL, burnt TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cost_lines (
    x TEXT NOT NULL, n INTEGER NOT NULL, t INTEGER NOT NULL, customer INTEGER NOT NULL, provider TEXT NOT NULL,
    deployment TEXT NOT NULL, model TEXT NOT NULL, kind TEXT NOT NULL, call_id TEXT, status INTEGER, usage TEXT,
    service_tier TEXT, card TEXT, cost_nusd INTEGER, PRIMARY KEY (x, n));
-- What corrections put in the place of cost lines: the highest revision is how a line stands today.
CREATE TABLE IF NOT EXISTS corrections (
    x TEXT NOT NULL, n INTEGER NOT NULL, revision INTEGER NOT NULL, t INTEGER NOT NULL, kind_before TEXT NOT NULL,
    cost_before_nusd INTEGER, kind TEXT NOT NULL, call_id TEXT, usage TEXT, card TEXT, cost_nusd INTEGER,
    why TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (x, n, revision)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS current_cost_lines AS
    SELECT l.x, l.n, l.t, l.customer, l.provider, l.deployment, l.model, l.status, l.service_tier,
        COALESCE(c.revision, 0) AS revision, COALESCE(c.kind, l.kind) AS kind,
        CASE WHEN c.x IS NULL THEN l.call_id ELSE c.call_id END AS call_id,
        CASE WHEN c.x IS NULL THEN l.usage ELSE c.usage END AS usage,
        CASE WHEN c.x IS NULL THEN l.card ELSE c.card END AS card,
        CASE WHEN c.x IS NULL THEN l.cost_nusd ELSE c.cost_nusd END AS cost_nusd
    FROM cost_lines AS l LEFT JOIN corrections AS c ON c.x = l.x AND c.n = l.n AND c.revision =
        (SELECT MAX(revision) FROM corrections AS latest WHERE latest.x = l.x AND latest.n = l.n);

-- Each comparison with the whole of a provider's account; the share in billionths, NULL of nothing.
CREATE TABLE IF NOT EXISTS reconciliations (
    id INTEGER PRIMARY KEY, t INTEGER NOT NULL, account TEXT NOT NULL, source TEXT NOT NULL,
    explained_ppb INTEGER, difference_nusd INTEGER, differences INTEGER NOT NULL, corrected INTEGER NOT NULL);

-- Charges that were taken back, whole: the amounts are those of the charge.
CREATE TABLE IF NOT EXISTS reversals (
    x TEXT PRIMARY KEY, t INTEGER NOT NULL, customer INTEGER NOT NULL, credits_milli INTEGER NOT NULL,
    revenue_nusd INTEGER NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;

-- Tasks (see margin.ledger.tasks.Task), what a month's charges of one name and price come to, and what was answered to
-- whom under an idempotency key: digests of the key and of the request, and the task as it was then.
CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY, customer INTEGER NOT NULL, plan TEXT NOT NULL, type TEXT NOT NULL, terms TEXT NOT NULL,
    opened_t INTEGER NOT NULL, last_t INTEGER NOT NULL, closed_t INTEGER, why TEXT NOT NULL, calls INTEGER NOT NULL,
    cost_nusd INTEGER NOT NULL, unpriced INTEGER NOT NULL, outcome TEXT NOT NULL, outcome_t INTEGER, due_t INTEGER,
    month TEXT NOT NULL, charged_nusd INTEGER NOT NULL, unearned_nusd INTEGER NOT NULL, other_nusd INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tasks_by_opened ON tasks (opened_t, id);
CREATE INDEX IF NOT EXISTS tasks_live ON tasks (id) WHERE closed_t IS NULL OR due_t IS NOT NULL;
-- What tasks cost beside their calls; below zero, what of it was wrong.
CREATE TABLE IF NOT EXISTS task_costs (
    id TEXT PRIMARY KEY, task TEXT NOT NULL, customer INTEGER NOT NULL, kind TEXT NOT NULL, t INTEGER NOT NULL,
    at_t INTEGER NOT NULL, nusd INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS task_costs_by_task ON task_costs (task);
CREATE TABLE IF NOT EXISTS task_months (
    customer INTEGER NOT NULL, plan TEXT NOT NULL, month TEXT NOT NULL, name TEXT NOT NULL, price TEXT NOT NULL,
    units INTEGER NOT NULL, nusd INTEGER NOT NULL, late_units INTEGER NOT NULL,
    PRIMARY KEY (customer, month, plan, name, price)) WITHOUT ROWID;
-- What metrics count of tasks: how many of a type were opened, ended, or reached a state of their outcome, by event.
CREATE TABLE IF NOT EXISTS task_totals (
    type TEXT NOT NULL, event TEXT NOT NULL, count INTEGER NOT NULL, cost_nusd INTEGER NOT NULL,
    PRIMARY KEY (type, event)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_events (
    customer INTEGER NOT NULL, event TEXT NOT NULL, request TEXT NOT NULL, t INTEGER NOT NULL, task TEXT NOT NULL,
    answer TEXT NOT NULL, PRIMARY KEY (customer, event)) WITHOUT ROWID;
-- What was counted of a meter, and what that was charged: by exchange, by item delivered, or as a month's shortfall. Of
-- the meters `commitment` and `beyond` the quantity is nano-dollars at the plan's prices: drawn, and not.
CREATE TABLE IF NOT EXISTS rated (
    cause TEXT NOT NULL, meter TEXT NOT NULL, t INTEGER NOT NULL, customer INTEGER NOT NULL, plan TEXT NOT NULL,
    period TEXT NOT NULL, quantity INTEGER NOT NULL, nusd INTEGER NOT NULL, PRIMARY KEY (cause, meter)) WITHOUT ROWID;
-- Their sums by month: what the next is charged follows from them.
CREATE TABLE IF NOT EXISTS quantities (
    customer INTEGER NOT NULL, plan TEXT NOT NULL, meter TEXT NOT NULL, period TEXT NOT NULL,
    quantity INTEGER NOT NULL, nusd INTEGER NOT NULL, is_closed INTEGER NOT NULL,
    PRIMARY KEY (customer, period, plan, meter)) WITHOUT ROWID;

-- Every price card a call may have been booked by, and what each version of the cost book said of the models in use.
CREATE TABLE IF NOT EXISTS cards (id TEXT PRIMARY KEY, t INTEGER NOT NULL, levels TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS costbooks (
    version TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, t INTEGER NOT NULL, history TEXT NOT NULL,
    PRIMARY KEY (version, provider, model)) WITHOUT ROWID;

-- Sums are kept in the transaction that stores the entries; margin questions read these tables only.
CREATE TABLE IF NOT EXISTS rollup (
    day TEXT NOT NULL, customer INTEGER NOT NULL, plan TEXT NOT NULL, charge_tier TEXT NOT NULL,
    served_tier TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL,
    {rollup_sums},
    PRIMARY KEY (day, customer, plan, charge_tier, served_tier, provider, model, outcome)) WITHOUT ROWID;
-- The same sums, coarser: what metrics are made of (as many rows as there are series) ...
CREATE TABLE IF NOT EXISTS rollup_totals (
    plan TEXT NOT NULL, charge_tier TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL,
    {rollup_sums},
    PRIMARY KEY (plan, charge_tier, provider, model, outcome)) WITHOUT ROWID;
-- ... what the page shows: shares of tiers and savings of a month, from at most 31 days ...
CREATE TABLE IF NOT EXISTS tier_days (
    day TEXT NOT NULL, charge_tier TEXT NOT NULL, {rollup_sums}, PRIMARY KEY (day, charge_tier)) WITHOUT ROWID;
-- ... and margins: whole months by customer, and for the month in which a question begins its weeks and days.
CREATE TABLE IF NOT EXISTS margin_months (
    month TEXT NOT NULL, customer INTEGER NOT NULL, {margin_sums}, PRIMARY KEY (customer, month)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS margin_weeks (
    week TEXT NOT NULL, customer INTEGER NOT NULL, {margin_sums}, PRIMARY KEY (week, customer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS margin_days (
    day TEXT NOT NULL, customer INTEGER NOT NULL, {margin_sums}, PRIMARY KEY (day, customer)) WITHOUT ROWID;
-- What budgets go by: sums by subject (key, customer, member, plan, feature, model, all) and hour of admission since 1970.
CREATE TABLE IF NOT EXISTS spending (
    kind TEXT NOT NULL, id TEXT NOT NULL, hour INTEGER NOT NULL, {spending_sums}, PRIMARY KEY (kind, id, hour)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spending_by_hour ON spending (hour);
-- Balances of all customers together, by account.
CREATE TABLE IF NOT EXISTS balances (
    account TEXT NOT NULL, commodity TEXT NOT NULL,
    balance INTEGER NOT NULL CHECK (typeof(balance) = 'integer'),
    PRIMARY KEY (account, commodity)) WITHOUT ROWID;

-- The fold's memory, rebuilt from the journals when in doubt.
CREATE TABLE IF NOT EXISTS customers (
    number INTEGER PRIMARY KEY, plan TEXT NOT NULL, since_t INTEGER NOT NULL, accrued_from_t INTEGER NOT NULL,
    accrued_to_t INTEGER NOT NULL, accrued_nusd INTEGER NOT NULL, included_period TEXT NOT NULL,
    owed_milli INTEGER NOT NULL, plan_t INTEGER NOT NULL, seats INTEGER NOT NULL,
    accrued_seats_nusd INTEGER NOT NULL, commit_nusd INTEGER NOT NULL, commit_end_t INTEGER NOT NULL,
    commit_used_nusd INTEGER NOT NULL, segment TEXT NOT NULL, persona TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL, customer INTEGER NOT NULL, scopes TEXT NOT NULL,
    created_t INTEGER NOT NULL, revoked_t INTEGER, terms TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grants (
    id TEXT PRIMARY KEY, seq INTEGER NOT NULL, customer INTEGER NOT NULL, given_milli INTEGER NOT NULL,
    paid_nusd INTEGER NOT NULL, given_t INTEGER NOT NULL, expires_t INTEGER NOT NULL, priority INTEGER NOT NULL,
    left_milli INTEGER NOT NULL, held_milli INTEGER NOT NULL, basis_nusd INTEGER NOT NULL,
    expired_milli INTEGER NOT NULL, is_ended INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS grants_by_customer ON grants (customer, seq);
CREATE TABLE IF NOT EXISTS journals (
    name TEXT PRIMARY KEY, folded_bytes INTEGER NOT NULL, chain TEXT NOT NULL) WITHOUT ROWID;
-- Open exchanges; what they hold of grants, and beyond them, is not available while they are.
CREATE TABLE IF NOT EXISTS holds (
    x TEXT PRIMARY KEY, customer INTEGER NOT NULL, covered_milli INTEGER NOT NULL, uncovered_milli INTEGER NOT NULL,
    hold TEXT NOT NULL) WITHOUT ROWID;
-- Who changed what; see margin.ledger.trail.
CREATE TABLE IF NOT EXISTS trail (
    id INTEGER PRIMARY KEY, t INTEGER NOT NULL, kind TEXT NOT NULL, by TEXT NOT NULL, content TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS trail_is_final BEFORE UPDATE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is never changed'); END;
CREATE TRIGGER IF NOT EXISTS trail_stays BEFORE DELETE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is never deleted'); END;
-- Idempotency keys by the exchange that took them: which one answered, or may yet. No key and no request, digests only.
CREATE TABLE IF NOT EXISTS claims (
    x TEXT PRIMARY KEY, customer INTEGER NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, t INTEGER NOT NULL,
    answered INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_by_key ON claims (customer, key);
CREATE INDEX IF NOT EXISTS claims_by_t ON claims (t);
CREATE TABLE IF NOT EXISTS refused (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, why TEXT NOT NULL);
