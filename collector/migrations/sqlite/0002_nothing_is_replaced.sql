-- SQLite's REPLACE deletes the row in the way without asking the triggers that guard it: a requester could be exchanged and
-- then approve, a report or a line of the log be overwritten. So none of these rows is ever inserted over another.
CREATE TRIGGER changes_are_not_replaced BEFORE INSERT ON changes
WHEN EXISTS (SELECT 1 FROM changes WHERE id = NEW.id OR (year = NEW.year AND number = NEW.number))
BEGIN SELECT RAISE(ABORT, 'a change record is never edited: make a new one'); END;
CREATE TRIGGER approvals_are_not_replaced BEFORE INSERT ON approvals
WHEN EXISTS (SELECT 1 FROM approvals WHERE change_id = NEW.change_id AND account = NEW.account)
BEGIN SELECT RAISE(ABORT, 'an approval is never edited'); END;
CREATE TRIGGER reports_are_not_replaced BEFORE INSERT ON reports
WHEN EXISTS (SELECT 1 FROM reports WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a report is evidence and is never edited'); END;
CREATE TRIGGER drifts_are_not_replaced BEFORE INSERT ON drifts
WHEN EXISTS (SELECT 1 FROM drifts WHERE seq = NEW.seq OR (host = NEW.host AND report = NEW.report AND probe = NEW.probe AND subject = NEW.subject))
BEGIN SELECT RAISE(ABORT, 'what drifted is evidence and is never edited'); END;
CREATE TRIGGER verdicts_are_not_replaced BEFORE INSERT ON verdicts
WHEN EXISTS (SELECT 1 FROM verdicts WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'a verdict once given is kept'); END;
CREATE TRIGGER audit_log_is_not_replaced BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER facts_are_not_deleted BEFORE DELETE ON facts
BEGIN SELECT RAISE(ABORT, 'facts are evidence and are never deleted'); END;
