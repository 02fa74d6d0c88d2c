//! Change records and approvals: each as it was asked for, approved by whom the log says, and by nobody who may not.

use audit::change::{Approval, ChangeRecord, Person};
use audit::digest::Digest;

use super::Found;
use super::log::Log;
use crate::error::Refusal;
use crate::http::changes::RECORD;
use crate::store::Conn;
use crate::store::accounts::{self, Role};
use crate::store::evidence::{self, ChangeRow, as_stored};

/// Looks at every record, and gives them as reconciliation takes them.
pub(super) async fn check(db: &mut Conn, acts: &Log, found: &mut Found) -> Result<Vec<ChangeRecord>, Refusal> {
    let mut records = Vec::new();
    let mut before = (0, 0);
    for row in evidence::changes(db).await? {
        found.checked.records += 1;
        let due = if row.number.0 == before.0 { before.1 + 1 } else { 1 };
        if row.number.1 != due {
            found.wrong(format!("CHG-{}-{due:04}", row.number.0), "is not here: records are numbered without gaps");
        }
        before = row.number;
        let Ok(mut record) = serde_json::from_str::<ChangeRecord>(&row.record) else {
            found.wrong(row.id, "is no change record any more");
            continue;
        };
        columns(&row, &record, found);
        record.requester = Person(row.said.0.clone());
        asked(&row, &record, acts, found);
        record.approvals = Vec::new();
        for (account, at) in &row.approvals {
            found.checked.approvals += 1;
            approved(db, &row, &record, account, *at, acts, found).await?;
            record.approvals.push(Approval { by: Person(account.clone()), at: *at });
        }
        records.push(record);
    }
    for id in acts.asked.keys().filter(|id| !records.iter().any(|record| record.id == **id)) {
        found.wrong(id.clone(), "the log says that it was asked for, and it is not here: deleted");
    }
    for (id, account) in acts.approved.keys() {
        let record = records.iter().find(|record| record.id == *id);
        if record.is_some_and(|record| !record.approvals.iter().any(|approval| approval.by.0 == *account)) {
            found.wrong(id.clone(), format!("the log says that {account} approved it, and that is not here: deleted"));
        }
    }
    Ok(records)
}

/// The columns the database guards and sorts by against the record itself.
fn columns(row: &ChangeRow, record: &ChangeRecord, found: &mut Found) {
    let id = format!("CHG-{}-{:04}", row.number.0, row.number.1);
    let mut implementers: Vec<&str> = record.implementers.iter().map(|person| person.0.as_str()).collect();
    implementers.sort_unstable();
    implementers.dedup();
    let same = row.id == id
        && record.id == id
        && row.said == (record.requester.0.clone(), record.class.name().to_owned())
        && row.times == [record.window.from, record.window.to, record.created].map(as_stored)
        && row.implementers == implementers;
    if !same {
        found.wrong(row.id.clone(), "says something else than what stands beside it");
    }
    if let Err(not_allowed) = record.check() {
        found.wrong(row.id.clone(), format!("could not have been asked for: {not_allowed}"));
    }
}

/// The record against the act of asking for it.
fn asked(row: &ChangeRow, record: &ChangeRecord, acts: &Log, found: &mut Found) {
    let Some(act) = acts.asked.get(&row.id) else {
        found.wrong(row.id.clone(), "the log does not say that anybody asked for it");
        return;
    };
    if act.who != record.requester.0 || as_stored(act.at) != as_stored(record.created) {
        found.wrong(row.id.clone(), "was asked for by somebody else, or at another time, than the log says");
    }
    named(row, &act.detail, "asked for", found);
}

/// The record's digest against the one the log names.
fn named(row: &ChangeRow, detail: &str, when: &str, found: &mut Found) {
    match detail.rsplit_once(RECORD) {
        Some((_, digest)) if digest.trim_end_matches(')') == Digest::of(row.record.as_bytes()).to_string() => {}
        Some(_) => {
            found.wrong(row.id.clone(), format!("was altered after it was {when}: the log names another record"))
        }
        None => found.notes.push(format!("{} was {when} before the log named the record's digest", row.id)),
    }
}

/// One approval: by somebody who may, and as the log has it. `record` has the approvals before it.
async fn approved(
    db: &mut Conn,
    row: &ChangeRow,
    record: &ChangeRecord,
    account: &str,
    at: chrono::DateTime<chrono::Utc>,
    acts: &Log,
    found: &mut Found,
) -> Result<(), Refusal> {
    let what = format!("approval of {} by {account}", row.id);
    if let Err(not_allowed) = record.may_approve(&Person(account.to_owned())) {
        found.wrong(what.clone(), not_allowed.to_string());
    }
    match accounts::find(db, account).await? {
        None => found.wrong(what.clone(), "is by nobody who has an account"),
        Some(account) if !account.may(Role::Approver) => found.wrong(what.clone(), "is by no approver"),
        Some(_) => {}
    }
    match acts.approved.get(&(row.id.clone(), account.to_owned())) {
        None => found.wrong(what, "is not in the log: nobody gave it"),
        Some(act) if as_stored(act.at) != as_stored(at) => {
            found.wrong(what, "was given at another time, says the log");
        }
        Some(act) => named(row, &act.detail, "approved", found),
    }
    Ok(())
}
