//! `GET /`

use std::collections::BTreeMap;

use audit::reconcile::Verdict;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};

use super::super::frame::{Frame, List, Place, page};
use super::super::moment::Moment;
use super::super::overview::{ChainRow, Fleet, Overview, RuleRow, Unapproved, Waiting};
use super::super::rows::HostRef;
use super::super::session::Session;
use super::{answer, rows};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::hosts::State as HostState;
use crate::store::pages::{self, Filter, HostCount, Listed, Which};

/// How many rows of each part the first page shows.
const SHOWN: i64 = 12;

/// `GET /`
pub async fn get(State(app): State<App>, session: Session) -> Response {
    let made = make(&app, &session).await;
    answer(Some(session.visitor), made)
}

async fn make(app: &App, session: &Session) -> Result<Response, Refusal> {
    let now = now();
    let mut db = app.store.read().await?;
    let open = Filter { verdict: Some(Verdict::Unauthorised), open: true, counted: true, ..Filter::default() };
    let waiting = Filter { verdict: Some(Verdict::AwaitingApproval), ..open };
    let drifts = pages::drifts(&mut db, &open, SHOWN, 0).await?;
    let (on_hosts, oldest) = pages::unapproved(&mut db).await?;
    let awaiting = pages::drifts(&mut db, &waiting, SHOWN, 0).await?;
    let (doubts, doubts_total) = pages::doubts(&mut db, None, SHOWN).await?;
    let (silent, silent_total) = pages::hosts(&mut db, Which::Silent, SHOWN, 0).await?;
    let (pending, pending_total) = pages::hosts(&mut db, Which::Pending, SHOWN, 0).await?;
    let (broken, broken_total) = pages::broken_rules(&mut db, SHOWN).await?;
    let template = Overview {
        frame: Frame::of(session.visitor.clone(), Place::Overview, now),
        fleet: fleet(&pages::host_counts(&mut db).await?),
        unapproved: Unapproved { hosts: on_hosts, oldest: oldest.map(|at| Moment::new(at, now)) },
        drifts: rows(drifts, Some("/drift?verdict=open".into())),
        awaiting: rows(awaiting, Some("/drift?verdict=awaiting-approval".into())),
        chain: List::new(doubts.into_iter().map(|doubt| chain_row(doubt, now)).collect(), doubts_total, None),
        silent: List::new(
            silent.into_iter().map(|host| quiet(host, now)).collect(),
            silent_total,
            Some("/hosts".into()),
        ),
        pending: List::new(
            pending.into_iter().map(|host| newcomer(host, now)).collect(),
            pending_total,
            Some("/hosts".into()),
        ),
        severities: pages::severities(&mut db).await?,
        unknowns: pages::unknowns(&mut db).await?,
        rules: List::new(broken.into_iter().map(|rule| rule_row(app, rule, now)).collect(), broken_total, None),
    };
    Ok(page(StatusCode::OK, &template))
}

fn fleet(counts: &[HostCount]) -> Fleet {
    let mut fleet = Fleet::default();
    let mut active: BTreeMap<&str, usize> = BTreeMap::new();
    for count in counts {
        match count.state {
            HostState::Active => {
                *active.entry(count.environment.name()).or_default() += count.hosts;
                fleet.silent += count.silent;
            }
            HostState::Pending => fleet.pending += count.hosts,
            HostState::Quarantined => fleet.quarantined += count.hosts,
        }
    }
    fleet.active = active.into_iter().map(|(name, hosts)| (name.to_owned(), hosts)).collect();
    fleet
}

/// Something wrong with a host's reports, as seen at `now`.
pub fn chain_row(doubt: pages::Doubt, now: DateTime<Utc>) -> ChainRow {
    ChainRow {
        host: HostRef {
            id: doubt.finding.host.to_string(),
            name: doubt.host_name,
            environment: doubt.environment.name().to_owned(),
        },
        kind: doubt.finding.kind.name().to_owned(),
        alarms: doubt.finding.kind.alarms(),
        detail: doubt.finding.detail,
        found: Moment::new(doubt.finding.found, now),
        resolved: doubt.finding.resolved.map(|at| Moment::new(at, now)),
    }
}

/// How a pending host becomes active.
pub fn inspect_command(id: &str) -> String {
    format!("plumbline-collector host inspect {id}")
}

fn quiet(host: Listed, now: DateTime<Utc>) -> Waiting {
    Waiting {
        since: host.heard.map(|at| Moment::new(at, now)),
        command: None,
        host: HostRef { id: host.id, name: host.name, environment: host.environment.name().to_owned() },
        system: host.system,
    }
}

fn newcomer(host: Listed, now: DateTime<Utc>) -> Waiting {
    Waiting {
        since: Some(Moment::new(host.enrolled, now)),
        command: Some(inspect_command(&host.id)),
        host: HostRef { id: host.id, name: host.name, environment: host.environment.name().to_owned() },
        system: host.system,
    }
}

fn rule_row(app: &App, broken: pages::Broken, now: DateTime<Utc>) -> RuleRow {
    let title = app.baseline.rules.iter().find(|rule| rule.id == broken.rule).map(|rule| rule.title.clone());
    let (id, name, environment) = broken.one;
    RuleRow {
        title: title.unwrap_or_else(|| broken.rule.clone()),
        rule: broken.rule,
        severity: broken.severity,
        only: (broken.hosts == 1).then(|| HostRef { id, name, environment: environment.name().to_owned() }),
        hosts: broken.hosts,
        deviations: broken.deviations,
        since: Moment::new(broken.since, now),
    }
}
