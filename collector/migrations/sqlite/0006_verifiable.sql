-- What `verify` checks an edited row by. Rows from before have none.
-- Each act names the one before it: the SHA-256 over that one's link and the act itself.
ALTER TABLE audit_log ADD COLUMN link TEXT;
-- The signature of the receipt that lacks nothing: the 64 bytes by which the collector signed when it had the report.
ALTER TABLE reports ADD COLUMN receipt BLOB;
-- The same over the receipts of a run.
ALTER TABLE runs ADD COLUMN signature BLOB;
