//! Folding, over the real store and the database's own triggers.

use super::*;
use crate::store::Conn;
use crate::store::hosts::testing::newcomer;
use crate::store::reports::Arrival;
use crate::store::testing::store;
use audit::seal::seal;
use ed25519_dalek::SigningKey;

fn begin() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A host that reports every minute from noon on, its manifest changed at the numbers `changes`.
async fn reported(db: &mut Conn, count: u64, changes: &[u64]) -> HostId {
    let host = newcomer(db, "web-1", 'a').await;
    let noon = midnight(begin()) + TimeDelta::hours(12);
    let key = SigningKey::from_bytes(&[1; 32]);
    let mut previous = None;
    for sequence in 1..=count {
        let time = noon + TimeDelta::minutes(i64::try_from(sequence).unwrap());
        let manifest = Digest::of(&[u8::try_from(changes.iter().filter(|at| **at <= sequence).count()).unwrap()]);
        let report = Report { host: host.clone(), sequence, previous, time, manifest, dropped: None };
        let sealed = seal(report, &key).unwrap();
        previous = Some(sealed.verified.id());
        let arrival = Arrival { received: time, sent: Some(time), forked: false, receipt: [0; 64] };
        reports::add(db, &sealed.verified, &sealed.bytes, arrival).await.unwrap();
    }
    let sql = "UPDATE hosts SET head_sequence = $1, judged_sequence = $1, state = 'active'";
    sqlx::query(sql).bind(i64::try_from(count).unwrap()).execute(db).await.unwrap();
    host
}

async fn whole(db: &mut Conn, host: &HostId) -> Vec<u64> {
    reports::from(db, host, 0, 100_000).await.unwrap().into_iter().map(|report| report.sequence).collect()
}

async fn app_with(count: u64, changes: &[u64]) -> (App, HostId, tempfile::TempDir) {
    let (store, folder) = store().await;
    let mut db = store.write().await.unwrap();
    let host = reported(&mut db, count, changes).await;
    db.commit().await.unwrap();
    (crate::http::testing::app(store, "http://127.0.0.1"), host, folder)
}

#[tokio::test]
async fn the_first_and_last_of_what_is_the_same_and_one_a_day_stay_whole() {
    // Noon to 15:20 two days on: midnight comes before number 720 and before 2160.
    let (app, host, _folder) = app_with(3000, &[100, 101, 900]).await;
    let folded = fold(&app, begin() + TimeDelta::days(9)).await.unwrap();
    let mut db = app.store.read().await.unwrap();
    // The batch ends once within a run, after number 2001; the newest has no successor to hold it.
    assert_eq!(whole(&mut db, &host).await, [1, 99, 100, 101, 720, 899, 900, 2002, 2160, 2999, 3000]);
    assert_eq!(folded, 3000 - 11);
    let mut after = 0;
    let mut count = 0;
    while let Some(run) = runs::after(&mut db, &host, after).await.unwrap() {
        let before = runs::whole_before(&mut db, &run).await.unwrap().unwrap();
        assert_eq!(run.broken(before), None);
        count += run.count();
        after = run.last();
    }
    assert_eq!(count, folded);
    let folded = reports::numbered(&mut db, &host, 500).await.unwrap();
    let next = reports::numbered(&mut db, &host, 501).await.unwrap();
    assert_eq!((folded.len(), next[0].previous), (1, Some(folded[0].id)));
}

#[tokio::test]
async fn a_day_that_is_not_over_for_long_enough_stays_whole_and_folding_again_changes_nothing() {
    let (app, host, _folder) = app_with(1500, &[]).await;
    // Number 720 is the first of the second day, which is over, but not for a day.
    let now = midnight(begin()) + TimeDelta::hours(49);
    fold(&app, now).await.unwrap();
    let mut db = app.store.read().await.unwrap();
    let kept = whole(&mut db, &host).await;
    assert_eq!(kept[..3], [1, 720, 721]);
    assert_eq!(fold(&app, now).await.unwrap(), 0);
    fold(&app, now + TimeDelta::days(9)).await.unwrap();
    assert_eq!(whole(&mut db, &host).await, [1, 720, 1499, 1500]);
}

#[tokio::test]
async fn raw_sql_cannot_let_a_report_go_without_a_run_nor_change_or_unhook_a_run() {
    let (app, host, _folder) = app_with(1000, &[]).await;
    fold(&app, begin() + TimeDelta::days(9)).await.unwrap();
    let mut db = app.store.write().await.unwrap();
    let id = host.to_string();
    for sql in [
        "DELETE FROM reports WHERE sequence = 1",
        "DELETE FROM reports WHERE sequence = 720",
        "DELETE FROM runs",
        "UPDATE runs SET links = zeroblob(length(links))",
        "INSERT OR REPLACE INTO runs SELECT * FROM runs",
        // A run of anything, in order to delete what it names.
        "INSERT INTO runs (host, first, last, manifest, links)
         SELECT host, 720, 720, manifest, unhex(id) || zeroblob(16) FROM reports WHERE sequence = 720",
        // A folded report put back with other bytes.
        "INSERT INTO reports (id, host, sequence, host_time, received, manifest, envelope)
         SELECT lower(hex(substr(links, 1, 32))), host, first, 0, 0, manifest, x'00' FROM runs WHERE first = 2",
    ] {
        let error = sqlx::query(sql).execute(&mut *db).await.expect_err(sql);
        assert!(error.to_string().contains("evidence") || error.to_string().contains("held"), "{sql}: {error}");
    }
    let noted = audit_log::latest(&mut db, 10).await.unwrap();
    assert!(noted.iter().all(|act| act.did == "fold" && act.what == id) && noted.len() == 2, "{noted:?}");
}

#[tokio::test]
async fn what_cannot_be_computed_again_is_not_folded() {
    let (store, _folder) = store().await;
    let mut db = store.write().await.unwrap();
    let host = reported(&mut db, 9, &[]).await;
    let mut rows = reports::from(&mut db, &host, 0, 100).await.unwrap();
    let late = begin() + TimeDelta::days(9);
    assert_eq!(plan(&rows, 9, late).0.iter().map(|run| (run.first, run.last())).collect::<Vec<_>>(), [(2, 7)]);
    // A report that stated more than is kept has another digest.
    rows[4].host_time += TimeDelta::seconds(1);
    assert_eq!(plan(&rows, 9, late).0.iter().map(|run| (run.first, run.last())).collect::<Vec<_>>(), [(2, 4), (6, 7)]);
    rows.remove(6);
    assert_eq!(plan(&rows, 9, late).0.iter().map(|run| (run.first, run.last())).collect::<Vec<_>>(), [(2, 4)]);
}

/// The bytes of the database without its free pages.
async fn size(app: &App, folder: &std::path::Path, name: &str) -> u64 {
    let file = folder.join(name);
    let mut db = app.store.read().await.unwrap();
    sqlx::query("VACUUM INTO $1").bind(file.to_str().unwrap()).execute(&mut *db).await.unwrap();
    std::fs::metadata(file).unwrap().len()
}

#[tokio::test]
async fn a_folded_day_takes_a_small_part_of_what_it_took() {
    let (empty, _, folder_of_empty) = app_with(0, &[]).await;
    let none = size(&empty, folder_of_empty.path(), "copy").await;
    let (app, _host, folder) = app_with(2880, &[]).await;
    let before = size(&app, folder.path(), "before").await - none;
    let folded = fold(&app, begin() + TimeDelta::days(9)).await.unwrap();
    let after = size(&app, folder.path(), "after").await - none;
    println!("two days at a report a minute: {before} bytes whole, {after} with {folded} folded");
    assert!(after * 15 < before, "{before} before, {after} after");
}

#[tokio::test]
async fn a_folded_report_sent_again_is_known_and_another_of_its_number_is_a_fork() {
    let collector = crate::http::testing::Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    let mut sent = Vec::new();
    let mut twin = None;
    for number in 0..5 {
        if number == 2 {
            twin = Some(host.clone());
        }
        // The clock of an agent is told in whole seconds.
        host.time = DateTime::from_timestamp(1_800_000_000 + number, 0);
        sent.push(collector.observe(&mut host, &[("openssl", "1")]).await);
    }
    crate::reconciling::judge_waiting(&collector.app).await.unwrap();
    assert_eq!(fold(&collector.app, now() + TimeDelta::days(9)).await.unwrap(), 2);
    let again = collector.send(&host, sent[2].bytes.clone()).await.unwrap();
    assert!(again.lacks.is_empty() && again.received < now());
    let state = || async {
        let mut db = collector.app.store.read().await.unwrap();
        hosts::find(&mut db, host.id.as_str()).await.unwrap().unwrap().state
    };
    assert_eq!(state().await, hosts::State::Pending);
    let other = twin.unwrap().report(Digest::of(b"other facts"));
    collector.send(&host, other.bytes).await.unwrap();
    assert_eq!(state().await, hosts::State::Quarantined);
}
