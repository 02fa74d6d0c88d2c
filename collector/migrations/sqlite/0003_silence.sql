-- How often a host says it reports, in milliseconds: from its newest judged manifest.
ALTER TABLE hosts ADD COLUMN interval_ms BIGINT;

-- When hosts said nothing for longer than they may. One at a time is open; what was is never edited.
CREATE TABLE silences (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    host       TEXT NOT NULL REFERENCES hosts (id),
    since      BIGINT NOT NULL,
    allowed_ms BIGINT NOT NULL,
    found      BIGINT NOT NULL,
    ended      BIGINT
);
CREATE UNIQUE INDEX one_open_silence ON silences (host) WHERE ended IS NULL;
CREATE TRIGGER a_silence_only_ends BEFORE UPDATE ON silences
WHEN OLD.ended IS NOT NULL OR NEW.seq <> OLD.seq OR NEW.host <> OLD.host OR NEW.since <> OLD.since
  OR NEW.allowed_ms <> OLD.allowed_ms OR NEW.found <> OLD.found
BEGIN SELECT RAISE(ABORT, 'a silence can only end'); END;
CREATE TRIGGER silences_are_not_deleted BEFORE DELETE ON silences
BEGIN SELECT RAISE(ABORT, 'a silence is kept'); END;

-- Hosts with what a reader must know of them besides.
CREATE VIEW hosts_now AS
SELECT hosts.*, (SELECT since FROM silences WHERE host = hosts.id AND ended IS NULL) AS silent_since FROM hosts;
