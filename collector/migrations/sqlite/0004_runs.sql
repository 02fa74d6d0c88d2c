-- Unchanged reports, folded: the reports between two that are kept whole, as (digest, host's clock, receipt), one after the
-- other. All else they state follows from the run: host, number, the one before, the manifest. So each digest can be
-- computed again, and the next whole envelope signs the last of them.
CREATE TABLE runs (
    host     TEXT NOT NULL REFERENCES hosts (id),
    first    BIGINT NOT NULL CHECK (first > 1),
    last     BIGINT NOT NULL CHECK (last >= first),
    manifest TEXT NOT NULL CHECK (length(manifest) = 64),
    -- 48 bytes a report: its digest (32), its clock and its receipt as microseconds since 1970 (8 each, big endian).
    links    BLOB NOT NULL CHECK (length(links) = 48 * (last - first + 1)),
    PRIMARY KEY (host, first)
);
-- How far a host's reports were looked at for folding.
ALTER TABLE hosts ADD COLUMN folded_through BIGINT NOT NULL DEFAULT 0;

CREATE TRIGGER runs_are_not_edited BEFORE UPDATE ON runs
BEGIN SELECT RAISE(ABORT, 'a run is evidence and is never edited'); END;
CREATE TRIGGER runs_are_not_deleted BEFORE DELETE ON runs
BEGIN SELECT RAISE(ABORT, 'a run is evidence and is never deleted'); END;
CREATE TRIGGER runs_do_not_overlap BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM runs WHERE host = NEW.host AND first <= NEW.last AND last >= NEW.first)
BEGIN SELECT RAISE(ABORT, 'a run is evidence and is never edited'); END;
-- A run hangs between two whole reports of its manifest.
CREATE TRIGGER a_run_is_held_on_both_sides BEFORE INSERT ON runs
WHEN NOT EXISTS (SELECT 1 FROM reports WHERE host = NEW.host AND sequence = NEW.first - 1 AND manifest = NEW.manifest AND forked = 0)
  OR NOT EXISTS (SELECT 1 FROM reports WHERE host = NEW.host AND sequence = NEW.last + 1 AND manifest = NEW.manifest AND forked = 0
                 AND previous = lower(hex(substr(NEW.links, -48, 32))))
BEGIN SELECT RAISE(ABORT, 'a run is held by a whole report on either side'); END;

-- The one way a report may go: a run holds its digest in its place.
DROP TRIGGER reports_are_not_deleted;
CREATE TRIGGER reports_are_not_deleted BEFORE DELETE ON reports
WHEN OLD.forked <> 0 OR NOT EXISTS (
    SELECT 1 FROM runs WHERE host = OLD.host AND OLD.sequence BETWEEN first AND last AND manifest = OLD.manifest
    AND lower(hex(substr(links, 48 * (OLD.sequence - first) + 1, 32))) = OLD.id)
BEGIN SELECT RAISE(ABORT, 'a report is evidence and is never deleted'); END;
DROP TRIGGER reports_are_not_replaced;
CREATE TRIGGER reports_are_not_replaced BEFORE INSERT ON reports
WHEN EXISTS (SELECT 1 FROM reports WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM runs WHERE host = NEW.host AND NEW.sequence BETWEEN first AND last
             AND lower(hex(substr(links, 48 * (NEW.sequence - first) + 1, 32))) = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a report is evidence and is never edited'); END;

DROP VIEW hosts_now;
CREATE VIEW hosts_now AS
SELECT hosts.*, (SELECT since FROM silences WHERE host = hosts.id AND ended IS NULL) AS silent_since FROM hosts;
