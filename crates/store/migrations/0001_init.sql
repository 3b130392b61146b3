-- Amounts are nano-units of the currency, prices and exact costs pico-units, times microseconds since 1970 (UTC), ids 16 bytes.
-- Every key begins with the organization, so that all of one organization's rows lie together.

CREATE TABLE organization (
  id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  name       TEXT    NOT NULL,
  wallet     BLOB    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE project (
  organization BLOB    NOT NULL REFERENCES organization (id),
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  name         TEXT    NOT NULL,
  environment  TEXT    NOT NULL,
  data_class   TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  archived_at  INTEGER,
  PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE key (
  organization BLOB    NOT NULL,
  project      BLOB    NOT NULL,
  id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  name         TEXT    NOT NULL,
  hash         BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
  redacted     TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER,
  disabled_at  INTEGER,
  PRIMARY KEY (organization, project, id),
  FOREIGN KEY (organization, project) REFERENCES project (organization, id)
) STRICT, WITHOUT ROWID;

-- The engine refuses overspend even if our code is wrong.
CREATE TABLE wallet (
  organization BLOB    NOT NULL,
  id           BLOB    NOT NULL CHECK (length(id) = 16),
  currency     TEXT    NOT NULL,
  balance      INTEGER NOT NULL,            -- = sum(lot.remaining)
  held         INTEGER NOT NULL,            -- = sum(hold.amount)
  debt         INTEGER NOT NULL,
  sequence     INTEGER NOT NULL,            -- the last journal number
  head         BLOB    NOT NULL,            -- the last journal hash
  last_at      INTEGER NOT NULL,            -- the wallet's own time, which only rises
  frozen       INTEGER NOT NULL,
  PRIMARY KEY (organization, id),
  CHECK (held BETWEEN 0 AND balance),
  CHECK (debt >= 0),
  CHECK (NOT (debt > 0 AND balance > held)),
  CHECK (length(head) = 32),
  CHECK (frozen IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX wallet_by_id ON wallet (id);

CREATE TABLE lot (
  organization BLOB    NOT NULL,
  wallet       BLOB    NOT NULL,
  id           BLOB    NOT NULL CHECK (length(id) = 16),
  kind         TEXT    NOT NULL,
  granted      INTEGER NOT NULL,
  remaining    INTEGER NOT NULL,
  used         INTEGER NOT NULL,
  expired      INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,            -- 9223372036854775807 is never
  PRIMARY KEY (organization, wallet, id),
  CHECK (granted > 0 AND remaining >= 0 AND used >= 0 AND expired >= 0),
  CHECK (granted = remaining + used + expired)
) STRICT, WITHOUT ROWID;

-- Live holds only: the settlement deletes its row. `draft` is the cost row to book if the gateway dies first.
CREATE TABLE hold (
  organization BLOB    NOT NULL,
  wallet       BLOB    NOT NULL,
  request      BLOB    NOT NULL CHECK (length(request) = 16),
  amount       INTEGER NOT NULL CHECK (amount >= 0),
  created_at   INTEGER NOT NULL,
  draft        BLOB    NOT NULL,
  PRIMARY KEY (organization, wallet, request)
) STRICT, WITHOUT ROWID;

-- Append only. `legs` holds the double entry, `hash` continues the wallet's chain.
CREATE TABLE journal (
  organization BLOB    NOT NULL,
  wallet       BLOB    NOT NULL,
  sequence     INTEGER NOT NULL CHECK (sequence > 0),
  at           INTEGER NOT NULL,
  kind         INTEGER NOT NULL,
  reference    BLOB    NOT NULL CHECK (length(reference) = 16),
  legs         BLOB    NOT NULL,
  hash         BLOB    NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (organization, wallet, sequence)
) STRICT, WITHOUT ROWID;

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
  input_tokens        INTEGER NOT NULL,
  cached_tokens       INTEGER NOT NULL,
  cache_write_tokens  INTEGER NOT NULL,
  audio_input_tokens  INTEGER NOT NULL,
  output_tokens       INTEGER NOT NULL,
  audio_output_tokens INTEGER NOT NULL,
  reasoning_tokens    INTEGER NOT NULL,
  cost_pico           INTEGER NOT NULL CHECK (cost_pico >= 0),
  cost                INTEGER NOT NULL CHECK (cost = cost_pico / 1000 + (cost_pico % 1000 <> 0)),
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
  wallet              BLOB    NOT NULL,
  entry               INTEGER NOT NULL,
  PRIMARY KEY (organization, request, attempt)
) STRICT, WITHOUT ROWID;

-- What a caller's idempotency key brought about the first time.
CREATE TABLE idempotency (
  organization BLOB    NOT NULL,
  wallet       BLOB    NOT NULL,
  key          TEXT    NOT NULL,
  digest       BLOB    NOT NULL CHECK (length(digest) = 32),
  lot          BLOB    NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (organization, wallet, key)
) STRICT, WITHOUT ROWID;
