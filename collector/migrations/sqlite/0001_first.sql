-- The store of step 1. Instants are microseconds since 1970 in UTC; digests and hashes are lower-case hexadecimal.
-- What must never happen is refused here too, below every handler: see the triggers at the end of each part.

-- People ------------------------------------------------------------------------------------------------------------
-- An account's name is its identity: chosen once, never changed, never given to somebody else.
CREATE TABLE accounts (
    name       TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    token_hash TEXT NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    created    BIGINT NOT NULL
);
CREATE TABLE account_roles (
    account TEXT NOT NULL REFERENCES accounts (name),
    role    TEXT NOT NULL CHECK (role IN ('viewer', 'requester', 'approver', 'operator', 'administrator')),
    PRIMARY KEY (account, role)
);
CREATE TABLE login_links (
    hash    TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    expires BIGINT NOT NULL,
    used    BIGINT
);
CREATE TABLE sessions (
    hash    TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE TRIGGER accounts_are_not_renamed BEFORE UPDATE OF name ON accounts
BEGIN SELECT RAISE(ABORT, 'an account is never renamed'); END;
CREATE TRIGGER accounts_are_not_deleted BEFORE DELETE ON accounts
BEGIN SELECT RAISE(ABORT, 'an account is never deleted'); END;

-- Who did what. Append only.
CREATE TABLE audit_log (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    at     BIGINT NOT NULL,
    who    TEXT NOT NULL,
    did    TEXT NOT NULL,
    what   TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE TRIGGER audit_log_is_not_edited BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_is_not_shortened BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Hosts -------------------------------------------------------------------------------------------------------------
CREATE TABLE hosts (
    id              TEXT PRIMARY KEY CHECK (length(id) = 32),
    name            TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    machine         TEXT,
    system          TEXT NOT NULL,
    public_key      TEXT NOT NULL UNIQUE CHECK (length(public_key) = 64),
    environment     TEXT NOT NULL CHECK (environment IN ('production', 'staging', 'development', 'utility')),
    roles           TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'active', 'quarantined')),
    enrolled        BIGINT NOT NULL,
    inspected       BIGINT,
    inspected_by    TEXT REFERENCES accounts (name),
    -- The newest report received, and the newest judged.
    head_sequence   BIGINT NOT NULL DEFAULT 0,
    last_received   BIGINT,
    judged_sequence BIGINT NOT NULL DEFAULT 0,
    judged_report   TEXT,
    judged_with     TEXT,
    -- When the judged report was observed: no earlier and no later than these.
    seen_earliest   BIGINT,
    seen_latest     BIGINT
);
CREATE INDEX hosts_by_name ON hosts (name);

CREATE TABLE enrolment_tokens (
    hash        TEXT PRIMARY KEY CHECK (length(hash) = 64),
    environment TEXT NOT NULL CHECK (environment IN ('production', 'staging', 'development', 'utility')),
    roles       TEXT NOT NULL,
    created     BIGINT NOT NULL,
    created_by  TEXT NOT NULL REFERENCES accounts (name),
    expires     BIGINT NOT NULL,
    used        BIGINT,
    host        TEXT REFERENCES hosts (id)
);
CREATE TRIGGER a_token_is_used_once BEFORE UPDATE OF used ON enrolment_tokens WHEN OLD.used IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an enrolment token is used once'); END;

-- Evidence ----------------------------------------------------------------------------------------------------------
-- Envelopes as they came, by the digest of what was signed. Two with one number on one host are a fork: both are kept.
CREATE TABLE reports (
    id            TEXT PRIMARY KEY CHECK (length(id) = 64),
    host          TEXT NOT NULL REFERENCES hosts (id),
    sequence      BIGINT NOT NULL CHECK (sequence > 0),
    previous      TEXT,
    host_time     BIGINT NOT NULL,
    sent          BIGINT,
    received      BIGINT NOT NULL,
    manifest      TEXT NOT NULL,
    forked        INTEGER NOT NULL DEFAULT 0 CHECK (forked IN (0, 1)),
    envelope      BLOB NOT NULL
);
CREATE INDEX reports_by_sequence ON reports (host, sequence);
CREATE INDEX reports_by_manifest ON reports (manifest);
CREATE TRIGGER reports_are_not_edited BEFORE UPDATE ON reports
BEGIN SELECT RAISE(ABORT, 'a report is evidence and is never edited'); END;
CREATE TRIGGER reports_are_not_deleted BEFORE DELETE ON reports
BEGIN SELECT RAISE(ABORT, 'a report is evidence and is never deleted'); END;

-- Facts, manifests and the agents' own findings: by digest, compressed as sent, shared between hosts.
CREATE TABLE facts (
    digest TEXT PRIMARY KEY CHECK (length(digest) = 64),
    size   BIGINT NOT NULL,
    stored BIGINT NOT NULL,
    body   BLOB NOT NULL
);
CREATE TRIGGER facts_are_not_edited BEFORE UPDATE ON facts
BEGIN SELECT RAISE(ABORT, 'facts are evidence and are never edited'); END;
CREATE TABLE manifest_needs (
    manifest TEXT NOT NULL,
    digest   TEXT NOT NULL,
    PRIMARY KEY (manifest, digest)
);

-- What the collector itself found about a host's reports: gaps, forks, rewritten history, other baselines.
CREATE TABLE chain_findings (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    host     TEXT NOT NULL REFERENCES hosts (id),
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    detail   TEXT NOT NULL,
    found    BIGINT NOT NULL,
    resolved BIGINT,
    alerted  INTEGER NOT NULL DEFAULT 0 CHECK (alerted IN (0, 1)),
    UNIQUE (host, kind, key)
);

-- Reports a host's spool dropped, as its later reports state: from which number to which, and how many of them.
CREATE TABLE dropped (
    host      TEXT NOT NULL REFERENCES hosts (id),
    stated_by BIGINT NOT NULL,
    first     BIGINT NOT NULL CHECK (first > 0),
    last      BIGINT NOT NULL CHECK (last >= first AND last < stated_by),
    count     BIGINT NOT NULL CHECK (count > 0),
    PRIMARY KEY (host, stated_by)
);

-- Judgement ---------------------------------------------------------------------------------------------------------
-- What is known of each probe's items on each host: audit::drift::Known, its instant apart because it moves alone.
CREATE TABLE known (
    host   TEXT NOT NULL REFERENCES hosts (id),
    probe  TEXT NOT NULL,
    source TEXT NOT NULL,
    at     BIGINT NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (host, probe)
);
CREATE TABLE findings (
    host     TEXT NOT NULL REFERENCES hosts (id),
    number   BIGINT NOT NULL,
    rule     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    status   TEXT NOT NULL,
    severity TEXT NOT NULL,
    finding  TEXT NOT NULL,
    PRIMARY KEY (host, number)
);
CREATE TABLE deviations (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    host     TEXT NOT NULL REFERENCES hosts (id),
    rule     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    severity TEXT NOT NULL,
    opened   BIGINT NOT NULL,
    resolved BIGINT
);
CREATE UNIQUE INDEX one_open_deviation ON deviations (host, rule, subject) WHERE resolved IS NULL;

CREATE TABLE drifts (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    host       TEXT NOT NULL REFERENCES hosts (id),
    report     TEXT NOT NULL REFERENCES reports (id),
    probe      TEXT NOT NULL,
    subject    TEXT NOT NULL,
    value_before TEXT,
    value_after  TEXT,
    earliest   BIGINT NOT NULL,
    latest     BIGINT NOT NULL,
    controlled INTEGER NOT NULL CHECK (controlled IN (0, 1)),
    verdict    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    why        TEXT NOT NULL,
    change_id  TEXT,
    closed     BIGINT,
    closed_by  TEXT,
    alerted    INTEGER NOT NULL DEFAULT 0 CHECK (alerted IN (0, 1)),
    UNIQUE (host, report, probe, subject)
);
CREATE INDEX drifts_open ON drifts (host) WHERE closed IS NULL;
CREATE TRIGGER a_drift_stays_what_it_was
BEFORE UPDATE OF host, report, probe, subject, value_before, value_after, earliest, latest ON drifts
BEGIN SELECT RAISE(ABORT, 'what drifted is evidence and is never edited'); END;
CREATE TRIGGER drifts_are_not_deleted BEFORE DELETE ON drifts
BEGIN SELECT RAISE(ABORT, 'what drifted is evidence and is never deleted'); END;

-- Every verdict a drift ever had.
CREATE TABLE verdicts (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    drift     BIGINT NOT NULL REFERENCES drifts (seq),
    at        BIGINT NOT NULL,
    verdict   TEXT NOT NULL,
    reason    TEXT NOT NULL,
    why       TEXT NOT NULL,
    change_id TEXT
);
CREATE INDEX verdicts_by_drift ON verdicts (drift);
CREATE TRIGGER verdicts_are_not_edited BEFORE UPDATE ON verdicts
BEGIN SELECT RAISE(ABORT, 'a verdict once given is kept'); END;
CREATE TRIGGER verdicts_are_not_deleted BEFORE DELETE ON verdicts
BEGIN SELECT RAISE(ABORT, 'a verdict once given is kept'); END;

-- Changes -----------------------------------------------------------------------------------------------------------
CREATE TABLE changes (
    id          TEXT PRIMARY KEY,
    year        BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    requester   TEXT NOT NULL REFERENCES accounts (name),
    class       TEXT NOT NULL CHECK (class IN ('standard', 'minor', 'major', 'emergency')),
    window_from BIGINT NOT NULL,
    window_to   BIGINT NOT NULL,
    created     BIGINT NOT NULL,
    -- audit::change::ChangeRecord without its approvals.
    record      TEXT NOT NULL,
    UNIQUE (year, number),
    CHECK (window_to > window_from)
);
CREATE TABLE implementers (
    change_id TEXT NOT NULL REFERENCES changes (id),
    account   TEXT NOT NULL REFERENCES accounts (name),
    PRIMARY KEY (change_id, account)
);
CREATE TABLE approvals (
    change_id TEXT NOT NULL REFERENCES changes (id),
    account   TEXT NOT NULL REFERENCES accounts (name),
    at        BIGINT NOT NULL,
    PRIMARY KEY (change_id, account)
);
CREATE TRIGGER changes_are_not_edited BEFORE UPDATE ON changes
BEGIN SELECT RAISE(ABORT, 'a change record is never edited: make a new one'); END;
CREATE TRIGGER changes_are_not_deleted BEFORE DELETE ON changes
BEGIN SELECT RAISE(ABORT, 'a change record is never deleted'); END;
CREATE TRIGGER implementers_are_not_edited BEFORE UPDATE ON implementers
BEGIN SELECT RAISE(ABORT, 'a change record is never edited: make a new one'); END;
CREATE TRIGGER implementers_are_not_deleted BEFORE DELETE ON implementers
BEGIN SELECT RAISE(ABORT, 'a change record is never edited: make a new one'); END;
CREATE TRIGGER nobody_approves_their_own BEFORE INSERT ON approvals
WHEN NEW.account = (SELECT requester FROM changes WHERE id = NEW.change_id)
  OR EXISTS (SELECT 1 FROM implementers WHERE change_id = NEW.change_id AND account = NEW.account)
BEGIN SELECT RAISE(ABORT, 'nobody approves what they asked for or implement'); END;
CREATE TRIGGER an_approver_does_not_implement BEFORE INSERT ON implementers
WHEN EXISTS (SELECT 1 FROM approvals WHERE change_id = NEW.change_id)
BEGIN SELECT RAISE(ABORT, 'a change record is never edited once approved'); END;
CREATE TRIGGER approvals_are_not_edited BEFORE UPDATE ON approvals
BEGIN SELECT RAISE(ABORT, 'an approval is never edited'); END;
CREATE TRIGGER approvals_are_not_deleted BEFORE DELETE ON approvals
BEGIN SELECT RAISE(ABORT, 'an approval is never deleted'); END;

-- Alerts ------------------------------------------------------------------------------------------------------------
CREATE TABLE outbox (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT NOT NULL UNIQUE,
    host     TEXT REFERENCES hosts (id),
    payload  TEXT NOT NULL,
    created  BIGINT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts BIGINT NOT NULL DEFAULT 0,
    due      BIGINT NOT NULL,
    sent     BIGINT,
    error    TEXT
);
CREATE INDEX outbox_waiting ON outbox (seq) WHERE state = 'waiting';

-- Counts up whenever a change record is made or approved: a judgement made beside the writer is committed only if the
-- records it was made with are still all there is.
CREATE TABLE revisions (
    name     TEXT PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO revisions (name, revision) VALUES ('changes', 0);
