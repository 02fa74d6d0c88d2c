-- The newest report a host had here when the collector was last restored from a backup, and when that backup was taken:
-- what is missing right after it was lost with the collector, not by the host.
ALTER TABLE hosts ADD COLUMN restored_head BIGINT;
ALTER TABLE hosts ADD COLUMN restored_to BIGINT;
DROP VIEW hosts_now;
CREATE VIEW hosts_now AS
SELECT hosts.*, (SELECT since FROM silences WHERE host = hosts.id AND ended IS NULL) AS silent_since FROM hosts;
