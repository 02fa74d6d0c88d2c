//! Folded reports, drops and gaps under `verify`; all else is shown by the scenario, on the real program.

use audit::digest::Digest;
use audit::report::Dropped;
use chrono::{SubsecRound as _, TimeDelta};

use super::*;
use crate::app::now;
use crate::http::testing::{Observation, Running, TestHost};
use crate::{folding, reconciling};

/// A host with twelve reports that say the same, ten of them folded.
async fn folded() -> (Running, TestHost) {
    let collector = Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    let packages = [("openssl", "1")];
    // As agents state it: what is finer than the store keeps cannot be computed again, and is not folded.
    host.time = Some(now().trunc_subsecs(0));
    collector.observe(&mut host, &packages).await;
    for _ in 0..11 {
        let next = host.report(Observation::of(&packages).id);
        collector.send(&host, next.bytes).await.unwrap();
    }
    reconciling::judge_waiting(&collector.app).await.unwrap();
    let folded = folding::fold(&collector.app, now() + TimeDelta::days(9)).await.unwrap();
    assert_eq!(folded, 9, "the first, the last, and the one before it that nothing newer holds stay whole");
    (collector, host)
}

async fn wrong(collector: &Running) -> Vec<String> {
    let mut db = collector.app.store.read().await.unwrap();
    let key = collector.app.receipt_key.verifying_key();
    let found = look(&mut db, &key, None, None).await.unwrap();
    assert!(found.checked.reports > 0);
    // The test's administrator was made without a word in the log.
    found
        .wrong
        .into_iter()
        .map(|wrong| format!("{} {}", wrong.what, wrong.why))
        .filter(|text| !text.contains("admin"))
        .collect()
}

async fn edit(collector: &Running, script: &str) {
    let mut db = collector.app.store.write().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(script.to_owned())).execute(&mut *db).await.unwrap();
    db.commit().await.unwrap();
}

#[tokio::test]
async fn folded_reports_are_whole_and_any_change_of_a_run_is_named() {
    let (collector, _) = folded().await;
    assert_eq!(wrong(&collector).await, [""; 0]);
    edit(&collector, "DROP TRIGGER runs_are_not_edited; DROP TRIGGER runs_are_not_deleted").await;
    assert_eq!(wrong(&collector).await.len(), 2, "triggers that are missing are named");
    for (set, due) in [
        // The receipt of the first, its host's clock, its digest: 48 bytes, then those of the others.
        ("substr(links, 1, 46) || x'ffff' || substr(links, 49)", "holds other receipts"),
        ("substr(links, 1, 38) || x'ffff' || substr(links, 41)", "its digest does not follow"),
        ("x'ffff' || substr(links, 3)", "its digest does not follow"),
        ("substr(links, 1, 384) || substr(links, 337, 48)", "its digest does not follow"),
    ] {
        edit(
            &collector,
            &format!("CREATE TABLE kept AS SELECT * FROM runs; UPDATE runs SET links = CAST({set} AS BLOB)"),
        )
        .await;
        let named = wrong(&collector).await;
        assert!(named.iter().any(|text| text.contains(due)), "{due}: {named:#?}");
        edit(&collector, "DELETE FROM runs; INSERT INTO runs SELECT * FROM kept; DROP TABLE kept").await;
    }
    edit(&collector, "DELETE FROM runs").await;
    let named = wrong(&collector).await;
    assert!(named.iter().any(|text| text.contains("reports 2 to 10") && text.contains("deleted")), "{named:#?}");
}

#[tokio::test]
async fn a_number_a_signed_report_says_was_dropped_is_no_fault_and_its_statement_cannot_be_made_up() {
    let collector = Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    let manifest = Digest::of(b"m");
    let mut sent = vec![host.report(manifest)];
    host.report(manifest);
    sent.push(host.stating(manifest, Some(Dropped { from: 2, to: 2, count: 1, damaged: 0 })));
    // One that never came is a gap the collector shows: no fault of the store.
    host.report(manifest);
    sent.push(host.report(manifest));
    for report in sent {
        collector.send(&host, report.bytes).await.unwrap();
    }
    assert_eq!(wrong(&collector).await, [""; 0]);
    edit(&collector, "DELETE FROM chain_findings").await;
    edit(&collector, "INSERT INTO dropped SELECT host, 5, 4, 4, 1 FROM dropped").await;
    let named = wrong(&collector).await;
    assert_eq!(named.len(), 2, "{named:#?}");
    assert!(named[0].contains("others than its reports state") && named[1].contains("report 4"), "{named:#?}");
}
