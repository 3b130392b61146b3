-- Amounts are nano-units of the currency, prices and exact costs pico-units, times microseconds since 1970 (UTC), ids 16 bytes.
-- Every key begins with the organization, so that all of one organization's rows lie together.

CREATE TABLE organization (
  id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  name        TEXT    NOT NULL,
  wallet      BLOB    NOT NULL UNIQUE,      -- its own
  time_zone   TEXT    NOT NULL,             -- an IANA name
  in_flight   TEXT    NOT NULL,
  country     TEXT,                         -- ISO 3166-1, two letters
  verified_at INTEGER,
  tier        TEXT,
  programmes  TEXT    NOT NULL,             -- a JSON list of names
  created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE project (
  organization BLOB    NOT NULL REFERENCES organization (id),
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  name         TEXT    NOT NULL,
  environment  TEXT    NOT NULL,
  data_class   TEXT    NOT NULL,
  after_grant  TEXT    NOT NULL,            -- what pays when no grant can: paid or stop
  models       TEXT,                        -- a JSON list with its mode; NULL may call all
  byok         TEXT    NOT NULL,
  byok_fallback INTEGER NOT NULL CHECK (byok_fallback IN (0, 1)),
  created_at   INTEGER NOT NULL,
  archived_at  INTEGER,
  PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

-- A person, as one organization knows them. A removed one stays, for the audit log and for old keys.
CREATE TABLE user (
  organization BLOB    NOT NULL REFERENCES organization (id),
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  email        TEXT    NOT NULL COLLATE NOCASE,
  name         TEXT    NOT NULL,
  role         TEXT    NOT NULL,
  added_at     INTEGER NOT NULL,
  removed_at   INTEGER,
  PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX user_by_email ON user (organization, email) WHERE removed_at IS NULL;

CREATE TABLE member (
  organization BLOB    NOT NULL,
  project      BLOB    NOT NULL,
  user         BLOB    NOT NULL,
  role         TEXT    NOT NULL,
  added_at     INTEGER NOT NULL,
  PRIMARY KEY (organization, project, user),
  FOREIGN KEY (organization, project) REFERENCES project (organization, id),
  FOREIGN KEY (organization, user) REFERENCES user (organization, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE service_account (
  organization BLOB    NOT NULL,
  project      BLOB    NOT NULL,
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  name         TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  removed_at   INTEGER,
  PRIMARY KEY (organization, project, id),
  FOREIGN KEY (organization, project) REFERENCES project (organization, id)
) STRICT, WITHOUT ROWID;

-- A person lets an app call at the expense of the project: within a limit, until a day.
CREATE TABLE consent (
  organization  BLOB    NOT NULL,
  project       BLOB    NOT NULL,
  id            BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  user          BLOB    NOT NULL,
  app_origin    TEXT    NOT NULL,
  app_name      TEXT,
  spend_limit   INTEGER NOT NULL CHECK (spend_limit >= 0),
  limit_reset   TEXT    NOT NULL,
  models        TEXT,                       -- a JSON list with its mode; NULL may call all
  given_at      INTEGER NOT NULL,
  fetch_until   INTEGER NOT NULL,           -- until when the app may fetch its key
  expires_at    INTEGER NOT NULL,
  key           BLOB,                       -- NULL until the app has fetched it
  revoked_at    INTEGER,
  revoked_by    TEXT,                       -- JSON
  PRIMARY KEY (organization, project, id),
  FOREIGN KEY (organization, project) REFERENCES project (organization, id),
  FOREIGN KEY (organization, user) REFERENCES user (organization, id),
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE key (
  organization      BLOB    NOT NULL,
  project           BLOB    NOT NULL,
  id                BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  user              BLOB,
  service_account   BLOB,
  consent           BLOB,                   -- of an app's key
  name              TEXT    NOT NULL,
  hash              BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
  redacted          TEXT    NOT NULL,
  previous_hash     BLOB    CHECK (length(previous_hash) = 32),  -- what rotation replaced, while it still works
  previous_redacted TEXT,
  previous_until    INTEGER,
  bounds            TEXT    NOT NULL,       -- endpoints, models and networks, as JSON
  created_at        INTEGER NOT NULL,
  expires_at        INTEGER,
  disabled_at       INTEGER,
  revoked_at        INTEGER,
  PRIMARY KEY (organization, project, id),
  FOREIGN KEY (organization, project) REFERENCES project (organization, id),
  FOREIGN KEY (organization, user) REFERENCES user (organization, id),
  FOREIGN KEY (organization, project, service_account) REFERENCES service_account (organization, project, id),
  FOREIGN KEY (organization, project, consent) REFERENCES consent (organization, project, id),
  CHECK ((user IS NULL) <> (service_account IS NULL)),
  CHECK ((previous_hash IS NULL) = (previous_redacted IS NULL)),
  CHECK ((previous_hash IS NULL) = (previous_until IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE admin_key (
  organization BLOB    NOT NULL,
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  user         BLOB    NOT NULL,
  name         TEXT    NOT NULL,
  hash         BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
  redacted     TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER,
  revoked_at   INTEGER,
  PRIMARY KEY (organization, id),
  FOREIGN KEY (organization, user) REFERENCES user (organization, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE invite (
  organization BLOB    NOT NULL REFERENCES organization (id),
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  email        TEXT    NOT NULL,
  role         TEXT    NOT NULL,
  projects     TEXT    NOT NULL,            -- JSON
  invited_by   BLOB,                        -- the member who sent it; NULL is the operator
  token        BLOB    NOT NULL UNIQUE CHECK (length(token) = 32),
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  accepted_at  INTEGER,
  withdrawn_at INTEGER,
  PRIMARY KEY (organization, id),
  FOREIGN KEY (organization, invited_by) REFERENCES user (organization, id)
) STRICT, WITHOUT ROWID;

-- The limits alone: what was used of them is kept for days only, in day_count.
CREATE TABLE rate_limit (
  organization             BLOB    NOT NULL REFERENCES organization (id),
  id                       BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  subject                  TEXT    NOT NULL,  -- JSON
  model                    TEXT    NOT NULL,
  requests_per_minute      INTEGER CHECK (requests_per_minute >= 0),
  tokens_per_minute        INTEGER CHECK (tokens_per_minute >= 0),
  input_tokens_per_minute  INTEGER CHECK (input_tokens_per_minute >= 0),
  output_tokens_per_minute INTEGER CHECK (output_tokens_per_minute >= 0),
  images_per_minute        INTEGER CHECK (images_per_minute >= 0),
  requests_per_day         INTEGER CHECK (requests_per_day >= 0),
  tokens_per_day           INTEGER CHECK (tokens_per_day >= 0),
  concurrent_requests      INTEGER CHECK (concurrent_requests >= 0),
  PRIMARY KEY (organization, id),
  UNIQUE (organization, subject, model)
) STRICT, WITHOUT ROWID;

-- Keys at providers that organizations brought. The secret is sealed by a key that is not in the database; the fingerprint
-- is keyed likewise, and one secret has one owner.
CREATE TABLE provider_key (
  organization BLOB    NOT NULL REFERENCES organization (id),
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  project      BLOB,                        -- NULL for all of the organization's
  provider     TEXT    NOT NULL,
  label        TEXT    NOT NULL,
  last_four    TEXT    NOT NULL,
  fingerprint  BLOB    NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
  sealed       BLOB    NOT NULL,
  brought_by   BLOB,                        -- a user; NULL for the operator
  created_at   INTEGER NOT NULL,
  disabled_at  INTEGER,
  tested_at    INTEGER,
  test_failure TEXT,
  PRIMARY KEY (organization, id),
  FOREIGN KEY (organization, project) REFERENCES project (organization, id)
) STRICT, WITHOUT ROWID;

-- What was used of a day's rate limits: `bucket` is the hash of whose, `day` counts from 1970 (UTC).
CREATE TABLE day_count (
  day     INTEGER NOT NULL,
  bucket  BLOB    NOT NULL CHECK (length(bucket) = 16),
  measure TEXT    NOT NULL,
  used    INTEGER NOT NULL CHECK (used >= 0),
  PRIMARY KEY (day, bucket, measure)
) STRICT, WITHOUT ROWID;

-- When keys of either sort were last used.
CREATE TABLE key_use (
  id BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Append only: one line for each change of the directory, written with it.
CREATE TABLE audit (
  organization BLOB    NOT NULL,
  id           BLOB    NOT NULL CHECK (length(id) = 16),
  project      BLOB,
  at           INTEGER NOT NULL,
  actor        TEXT    NOT NULL,            -- JSON
  action       TEXT    NOT NULL,
  subject      TEXT    NOT NULL,
  before       TEXT,                        -- JSON
  after        TEXT,                        -- JSON
  PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

-- The books of one organization. How far they are (number, hash, sum, stamp) is what their last journal row says.
CREATE TABLE books (
  organization BLOB    NOT NULL PRIMARY KEY CHECK (length(organization) = 16),
  frozen       INTEGER NOT NULL CHECK (frozen IN (0, 1))
) STRICT, WITHOUT ROWID;

-- The engine refuses overspend even if our code is wrong.
CREATE TABLE wallet (
  organization BLOB    NOT NULL REFERENCES books (organization),
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  place        INTEGER NOT NULL,            -- the order in which they were made; 0 is the organization's own
  name         TEXT    NOT NULL,
  project      BLOB,                        -- NULL pays for all projects
  models       TEXT    NOT NULL,            -- a JSON list of patterns; [] pays for all models
  overflow     INTEGER NOT NULL CHECK (overflow IN (0, 1)),
  currency     TEXT    NOT NULL,
  balance      INTEGER NOT NULL,            -- = sum(lot.remaining)
  held         INTEGER NOT NULL,            -- = what the holds' shares set aside
  debt         INTEGER NOT NULL,
  PRIMARY KEY (organization, id),
  CHECK (held BETWEEN 0 AND balance),
  CHECK (debt >= 0),
  CHECK (NOT (debt > 0 AND balance > held))
) STRICT, WITHOUT ROWID;

CREATE TABLE lot (
  organization BLOB    NOT NULL,
  id           BLOB    NOT NULL CHECK (length(id) = 16),
  wallet       BLOB    NOT NULL,
  kind         TEXT    NOT NULL,
  granted      INTEGER NOT NULL,
  remaining    INTEGER NOT NULL,
  used         INTEGER NOT NULL,
  expired      INTEGER NOT NULL,
  withdrawn    INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,            -- 9223372036854775807 is never
  warned       INTEGER NOT NULL CHECK (warned IN (0, 1)),
  PRIMARY KEY (organization, id),
  CHECK (granted > 0 AND remaining >= 0 AND used >= 0 AND expired >= 0 AND withdrawn >= 0),
  CHECK (granted = remaining + used + expired + withdrawn)
) STRICT, WITHOUT ROWID;
-- Only what a settlement never changes stands in it, so that no settlement has to touch it.
CREATE INDEX lot_by_expiry ON lot (expires_at) WHERE expires_at < 9223372036854775807;

-- Live holds only: the settlement deletes its row. `draft` is the present attempt's cost row, to be booked if the
-- gateway dies first, and after it those of the attempts before; `shares` is
-- what each wallet sets aside, in the order in which they pay (16 bytes of id, 8 of amount, each).
CREATE TABLE hold (
  organization BLOB    NOT NULL,
  request      BLOB    NOT NULL CHECK (length(request) = 16),
  amount       INTEGER NOT NULL CHECK (amount >= 0),
  shares       BLOB    NOT NULL CHECK (length(shares) > 0 AND length(shares) % 24 = 0),
  tokens       INTEGER NOT NULL CHECK (tokens >= 0),
  units        INTEGER NOT NULL CHECK (units >= 0), -- of the draft's pool
  created_at   INTEGER NOT NULL,
  draft        BLOB    NOT NULL,
  PRIMARY KEY (organization, request)
) STRICT, WITHOUT ROWID;

-- Append only. `legs` holds the double entry, `hash` continues the organization's chain, `balance` is the net after it.
CREATE TABLE journal (
  organization BLOB    NOT NULL,
  sequence     INTEGER NOT NULL CHECK (sequence > 0),
  at           INTEGER NOT NULL,
  kind         INTEGER NOT NULL,
  wallet       BLOB    NOT NULL,
  reference    BLOB    NOT NULL CHECK (length(reference) = 16),
  legs         BLOB    NOT NULL,
  balance      INTEGER NOT NULL,
  actor        TEXT,
  reason       TEXT,
  hash         BLOB    NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (organization, sequence)
) STRICT, WITHOUT ROWID;
-- What people and payments booked can be found by what it is about; calls, which are nearly all, cost nothing for it.
CREATE INDEX journal_by_reference ON journal (organization, reference) WHERE kind > 3;

-- One row an attempt; the bill and every usage view read it. `entry` is the journal entry that settled it.
CREATE TABLE cost_row (
  organization        BLOB    NOT NULL,
  request             BLOB    NOT NULL CHECK (length(request) = 16),
  attempt             INTEGER NOT NULL CHECK (attempt > 0),
  at                  INTEGER NOT NULL,
  project             BLOB    NOT NULL,
  key                 BLOB    NOT NULL,
  environment         TEXT    NOT NULL,
  model               TEXT    NOT NULL,
  target              TEXT    NOT NULL,
  provider            TEXT    NOT NULL,
  model_answered      TEXT,
  price_version       TEXT    NOT NULL,
  service_tier        TEXT    NOT NULL CHECK (service_tier IN ('standard', 'flex', 'batch', 'priority', 'ultrafast')),
  class               TEXT    NOT NULL,     -- how the access to the provider was come by
  payer               TEXT    NOT NULL,     -- who paid: of a call that straddles the end of a pool, both
  list_pico           INTEGER,              -- what it costs at list price
  -- What a pool paid for of it; `cost` is what was left to pay.
  pool                TEXT,
  pool_start          INTEGER,
  pool_cap            INTEGER,
  pool_strict         INTEGER CHECK (pool_strict IN (0, 1)),
  pool_units          INTEGER CHECK (pool_units >= 0),
  input_tokens        INTEGER NOT NULL,
  cached_tokens       INTEGER NOT NULL,
  cache_write_tokens  INTEGER NOT NULL,
  cache_write_long_tokens INTEGER NOT NULL,
  audio_input_tokens  INTEGER NOT NULL,
  image_input_tokens  INTEGER NOT NULL,
  output_tokens       INTEGER NOT NULL,
  audio_output_tokens INTEGER NOT NULL,
  image_output_tokens INTEGER NOT NULL,
  reasoning_tokens    INTEGER NOT NULL,
  images              INTEGER NOT NULL,
  audio_ms            INTEGER NOT NULL,
  characters          INTEGER NOT NULL,
  searches            INTEGER NOT NULL,
  gpu_ms              INTEGER NOT NULL,
  cost_pico           INTEGER NOT NULL CHECK (cost_pico >= 0),
  cost                INTEGER NOT NULL CHECK (cost = cost_pico / 1000 + (cost_pico % 1000 <> 0)),
  -- What the provider says that it cost, in pico-units; nothing is charged by it.
  reported_pico       INTEGER,
  status              TEXT    NOT NULL CHECK (status IN ('succeeded', 'failed', 'cancelled')),
  reason              TEXT    NOT NULL,
  estimated           INTEGER NOT NULL CHECK (estimated IN (0, 1)),
  http_status         INTEGER NOT NULL,
  streamed            INTEGER NOT NULL CHECK (streamed IN (0, 1)),
  duration_us         INTEGER NOT NULL,
  held                INTEGER NOT NULL,
  user                TEXT,
  feature             TEXT,
  run                 TEXT,
  app                 TEXT,                 -- the host of an app that its user pays for
  entry               INTEGER NOT NULL,
  PRIMARY KEY (organization, request, attempt)
) STRICT, WITHOUT ROWID;

-- What was decided about a request as JSON, for `explain`; the organization of callers whom nobody knows is zeros.
CREATE TABLE decision (
  organization BLOB    NOT NULL CHECK (length(organization) = 16),
  request      BLOB    NOT NULL CHECK (length(request) = 16),
  at           INTEGER NOT NULL,
  body         TEXT    NOT NULL
) STRICT;
-- A table with rows of its own and an index, because a body in the key's tree would spill beyond a thousand bytes.
CREATE UNIQUE INDEX decision_by_request ON decision (organization, request);

-- A budget's definition, as JSON. A removed one stays, so that its id is never used again.
CREATE TABLE budget (
  organization BLOB    NOT NULL,
  id           BLOB    NOT NULL CHECK (length(id) = 16),
  definition   TEXT    NOT NULL,
  removed      INTEGER NOT NULL CHECK (removed IN (0, 1)),
  PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

-- One period of one budget, for one of its subjects.
CREATE TABLE budget_use (
  organization BLOB    NOT NULL,
  budget       BLOB    NOT NULL,
  value        TEXT    NOT NULL,            -- a project's id, a user's name, …; empty for the organization
  start        INTEGER NOT NULL,
  spent        INTEGER NOT NULL CHECK (spent >= 0),
  held         INTEGER NOT NULL CHECK (held >= 0),
  tokens       INTEGER NOT NULL CHECK (tokens >= 0),
  tokens_held  INTEGER NOT NULL CHECK (tokens_held >= 0),
  steps        INTEGER NOT NULL CHECK (steps >= 0),
  told         INTEGER NOT NULL,            -- the highest percentage that was told of
  PRIMARY KEY (organization, budget, value, start)
) STRICT, WITHOUT ROWID;

-- One period of one pool: units that pay before money does.
CREATE TABLE pool_use (
  organization BLOB    NOT NULL,
  pool         TEXT    NOT NULL,
  start        INTEGER NOT NULL,
  used         INTEGER NOT NULL CHECK (used >= 0),
  held         INTEGER NOT NULL CHECK (held >= 0),
  PRIMARY KEY (organization, pool, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE promo_code (
  code           TEXT    NOT NULL PRIMARY KEY,
  amount         INTEGER NOT NULL CHECK (amount > 0),
  expires_at     INTEGER NOT NULL,
  credit_seconds INTEGER CHECK (credit_seconds > 0),
  uses_max       INTEGER NOT NULL CHECK (uses_max > 0),
  uses           INTEGER NOT NULL CHECK (uses BETWEEN 0 AND uses_max),
  models         TEXT    NOT NULL,
  created_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE promo_redemption (
  organization BLOB NOT NULL,
  code         TEXT NOT NULL REFERENCES promo_code (code),
  PRIMARY KEY (organization, code)
) STRICT, WITHOUT ROWID;

-- A payment is booked once, for ever, whoever tells of it and how often.
CREATE TABLE payment (
  payment      TEXT    NOT NULL PRIMARY KEY,
  organization BLOB    NOT NULL,
  entry        INTEGER NOT NULL,
  answer       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- What a caller's idempotency key was answered the first time.
CREATE TABLE idempotency (
  organization BLOB    NOT NULL,
  key          TEXT    NOT NULL,
  digest       BLOB    NOT NULL CHECK (length(digest) = 32),
  answer       TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (organization, key)
) STRICT, WITHOUT ROWID;

-- What owners should hear of, in the order in which it happened; `detail` is JSON.
CREATE TABLE event (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  organization BLOB    NOT NULL,
  at           INTEGER NOT NULL,
  detail       TEXT    NOT NULL
) STRICT;
CREATE INDEX event_by_organization ON event (organization, id);

-- Money that is to come in from outside: one row each time somebody is asked for it. Whatever the provider is asked
-- follows from the row, so that a repeated request is the same one.
CREATE TABLE top_up (
  id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  organization    BLOB    NOT NULL REFERENCES organization (id),
  amount          INTEGER NOT NULL CHECK (amount > 0 AND amount % 10000000 = 0),
  purpose         TEXT    NOT NULL CHECK (purpose IN ('manual', 'recharge')),
  provider        TEXT    NOT NULL,
  status          TEXT    NOT NULL CHECK (status IN ('pending', 'paid', 'declined', 'expired')),
  save_method     INTEGER NOT NULL CHECK (save_method IN (0, 1)),
  customer        TEXT,
  payment_method  TEXT,
  provider_ref    TEXT,                     -- what the provider calls the checkout or the payment
  url             TEXT,
  instructions    TEXT,
  payment         TEXT,                     -- what the provider calls the payment that paid it
  detail          TEXT,
  idempotency_key TEXT,
  digest          BLOB    CHECK (length(digest) = 32),
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  CHECK ((idempotency_key IS NULL) = (digest IS NULL)),
  CHECK ((status = 'paid') = (payment IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX top_up_by_organization ON top_up (organization, id);
CREATE UNIQUE INDEX top_up_by_idempotency_key ON top_up (organization, idempotency_key);
CREATE INDEX top_up_by_payment ON top_up (payment) WHERE payment IS NOT NULL;
-- The engine refuses a second recharge while one is undecided even if our code is wrong.
CREATE UNIQUE INDEX top_up_pending_recharge ON top_up (organization) WHERE purpose = 'recharge' AND status = 'pending';

-- Auto-recharge, and the payment method that the customer left for it.
CREATE TABLE recharge (
  organization    BLOB    NOT NULL PRIMARY KEY REFERENCES organization (id),
  enabled         INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  threshold       INTEGER,
  amount          INTEGER,
  monthly_max     INTEGER,
  customer        TEXT,
  payment_method  TEXT,
  method_at       INTEGER NOT NULL,         -- when the customer left it, by the provider's clock: an older one never replaces it
  declines        INTEGER NOT NULL CHECK (declines >= 0),
  last_decline_at INTEGER NOT NULL,
  told_off        INTEGER NOT NULL CHECK (told_off IN (0, 1)),  -- whether the owner heard that it gave up
  told_month      INTEGER,                  -- the month whose maximum the owner heard of
  CHECK (enabled = 0 OR (threshold IS NOT NULL AND amount IS NOT NULL AND monthly_max IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX recharge_enabled ON recharge (organization) WHERE enabled = 1;

-- Events of payment providers that were acted on, so that one that comes again is known.
CREATE TABLE payment_event (
  provider TEXT    NOT NULL,
  id       TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (provider, id)
) STRICT, WITHOUT ROWID;

-- One row, which each start of the gateway replaces by one that never was.
CREATE TABLE start (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  mark BLOB NOT NULL
) STRICT;
