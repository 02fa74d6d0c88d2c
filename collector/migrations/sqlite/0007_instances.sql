-- Which cloud instance a host said it is when it enrolled, as JSON; NULL where it said nothing.
ALTER TABLE hosts ADD COLUMN instance TEXT;
DROP VIEW hosts_now;
CREATE VIEW hosts_now AS
SELECT hosts.*, (SELECT since FROM silences WHERE host = hosts.id AND ended IS NULL) AS silent_since FROM hosts;

-- What it showed for it, as it was given: the identity document and its signature.
CREATE TABLE instances (
    host      TEXT NOT NULL PRIMARY KEY REFERENCES hosts (id),
    document  TEXT NOT NULL,
    signature TEXT
);
CREATE TRIGGER instances_are_not_edited BEFORE UPDATE ON instances
BEGIN SELECT RAISE(ABORT, 'what an instance showed is evidence and is never edited'); END;
CREATE TRIGGER instances_are_not_deleted BEFORE DELETE ON instances
BEGIN SELECT RAISE(ABORT, 'what an instance showed is evidence and is never deleted'); END;
CREATE TRIGGER instances_are_not_replaced BEFORE INSERT ON instances
WHEN EXISTS (SELECT 1 FROM instances WHERE host = NEW.host)
BEGIN SELECT RAISE(ABORT, 'what an instance showed is evidence and is never edited'); END;
