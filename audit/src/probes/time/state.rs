//! What the running system says about its clock: the kernel, the daemons, their sources.

use serde::Deserialize;

use super::{Configured, Daemon, Item, Leap, State, chrony_reply, daemon};
use crate::facts::Observed;
use crate::host::{Gap, GapKind, Host, Question};

/// `TIME_ERROR` and the `STA_*` bits of adjtimex(2).
const TIME_ERROR: i64 = 5;
const STA_PLL: i64 = 0x0001;
const STA_INS: i64 = 0x0010;
const STA_DEL: i64 = 0x0020;
const STA_UNSYNC: i64 = 0x0040;
const STA_CLOCKERR: i64 = 0x1000;
const STA_NANO: i64 = 0x2000;

/// A server silent for this many of timesyncd's longest polls is out of reach.
const SILENT_POLLS: u64 = 3;

/// Asks the running system; a root file system at rest hides the whole state.
pub(super) fn collect(host: &dyn Host, items: &Observed<Item>) -> Observed<State> {
    let mut state = Observed::new();
    match host.ask(Question::KernelClock).and_then(|answer| clock(&answer)) {
        Ok(clock) => {
            state.seen.insert("clock".into(), clock);
        }
        Err(gap) if gap.is_not_live() => return Observed::hidden(gap),
        Err(gap) => state.hide("clock", gap),
    }
    let mut running = Vec::new();
    match daemon::running(host) {
        Ok(found) => {
            for daemon in found {
                running.push(daemon.daemon);
                state.seen.insert(format!("daemon:{}", daemon.daemon.name()), State::Daemon { unit: daemon.unit });
            }
        }
        // Processes are hidden from us, but a socket that answers is a daemon that runs.
        Err(gap) => {
            state.hide("daemon:", gap);
            running.extend(configured(items));
        }
    }
    running.sort_unstable();
    running.dedup();
    for daemon in running {
        ask(host, daemon, &mut state);
    }
    state
}

fn ask(host: &dyn Host, daemon: Daemon, state: &mut Observed<State>) {
    let tracking = format!("tracking:{}", daemon.name());
    let answer = match daemon {
        Daemon::Chrony => chrony(host),
        Daemon::Timesyncd => host.ask(Question::Timesync).and_then(|answer| timesync(&answer)),
        Daemon::Ntpsec | Daemon::Ntp => host.ask(Question::NtpSystem).and_then(|_| {
            Err(Gap::new(GapKind::Unsupported, "NtpSystem", "ntpd's variables are not read: the kernel decides"))
        }),
        Daemon::Openntpd | Daemon::Linuxptp => {
            Err(Gap::new(GapKind::Unsupported, daemon.name(), "it is not asked: the kernel decides"))
        }
    };
    match answer {
        Ok((said, sources)) => {
            state.seen.insert(tracking, said);
            let named = sources.into_iter().map(|(address, source)| (format!("source:{address}"), source));
            for (subject, source) in named {
                // Members of one unresolved pool share a subject: one of them in reach is enough.
                let better = matches!(source, State::Source { reachable: true, .. });
                if better || !state.seen.contains_key(&subject) {
                    state.seen.insert(subject, source);
                }
            }
        }
        Err(gap) => {
            state.hide(tracking, gap.clone());
            state.hide("source:", gap);
        }
    }
}

type Said = (State, Vec<(String, State)>);

fn chrony(host: &dyn Host) -> Result<Said, Gap> {
    let tracking = chrony_reply::tracking(&host.ask(Question::ChronyTracking)?)?;
    let sources = chrony_reply::sources(&host.ask(Question::ChronySources)?)?;
    Ok((tracking, sources))
}

fn configured(items: &Observed<Item>) -> Vec<Daemon> {
    let daemon = |item: &Item| match item {
        Item::Source(Configured { daemon, .. }) => Some(*daemon),
        Item::Daemon { .. } | Item::Setter { .. } | Item::Looked => None,
    };
    // timesyncd is left out: its bus name would be asked for on hosts that merely keep its file.
    items.seen.values().filter_map(daemon).filter(|daemon| *daemon == Daemon::Chrony).collect()
}

/// The kernel's fields: see [`Question::KernelClock`].
#[derive(Deserialize)]
struct Timex {
    returned: i64,
    status: i64,
    offset: i64,
    maxerror: i64,
}

fn clock(answer: &[u8]) -> Result<State, Gap> {
    let timex: Timex =
        serde_json::from_slice(answer).map_err(|error| Gap::malformed("KernelClock", error.to_string()))?;
    let has = |bit: i64| timex.status & bit != 0;
    let synchronised = timex.returned != TIME_ERROR && !has(STA_UNSYNC) && !has(STA_CLOCKERR);
    let leap = match (synchronised, has(STA_INS), has(STA_DEL)) {
        (false, _, _) => Leap::Unsynchronised,
        (true, true, _) => Leap::Insert,
        (true, false, true) => Leap::Delete,
        (true, false, false) => Leap::None,
    };
    let per_ms = if has(STA_NANO) { 1_000_000 } else { 1_000 };
    Ok(State::Clock {
        synchronised,
        leap,
        max_error_s: timex.maxerror.max(0).saturating_add(999_999) / 1_000_000,
        // The kernel's loop works off what is left to add to the clock, so a host that is ahead has a negative rest.
        offset_ms: has(STA_PLL).then(|| rounded(timex.offset.saturating_neg(), per_ms)),
    })
}

/// timesyncd's properties: see [`Question::Timesync`]. Times are microseconds of the real-time clock.
#[derive(Deserialize)]
struct Timesync {
    server_name: String,
    server_address: Option<String>,
    poll_interval_max_usec: u64,
    now_usec: u64,
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    leap: u32,
    stratum: u32,
    originate_usec: u64,
    receive_usec: u64,
    transmit_usec: u64,
    destination_usec: u64,
    ignored: bool,
}

fn timesync(answer: &[u8]) -> Result<Said, Gap> {
    let told: Timesync =
        serde_json::from_slice(answer).map_err(|error| Gap::malformed("Timesync", error.to_string()))?;
    let message = &told.message;
    let heard = message.destination_usec != 0 && message.stratum != 0;
    let silence = told.now_usec.abs_diff(message.destination_usec);
    let reachable = heard && silence <= told.poll_interval_max_usec.saturating_mul(SILENT_POLLS);
    let leap = match message.leap {
        0 if heard => Leap::None,
        1 if heard => Leap::Insert,
        2 if heard => Leap::Delete,
        _ => Leap::Unsynchronised,
    };
    let synchronised = reachable && leap != Leap::Unsynchronised && !message.ignored;
    // RFC 5905 section 8: theta is ((T2 - T1) + (T3 - T4)) / 2, by which the server is ahead of the host.
    let [t1, t2, t3, t4] =
        [message.originate_usec, message.receive_usec, message.transmit_usec, message.destination_usec].map(i128::from);
    let ahead = i64::try_from(((t1 - t2) + (t4 - t3)) / 2).unwrap_or(i64::MAX);
    let server = u16::try_from(message.stratum).unwrap_or(u16::MAX);
    let stratum = if heard { server.saturating_add(1) } else { 0 };
    let offset_ms = if heard { rounded(ahead, 1_000) } else { 0 };
    let said = State::Tracking { synchronised, leap, offset_ms, stratum };
    if told.server_name.is_empty() && told.server_address.is_none() {
        return Ok((said, Vec::new()));
    }
    let name = (!told.server_name.is_empty()).then(|| told.server_name.to_lowercase());
    let address = told.server_address.or_else(|| name.clone()).unwrap_or_default();
    let source = State::Source { daemon: Daemon::Timesyncd, name, reachable, selected: heard, stratum: server };
    Ok((said, vec![(address, source)]))
}

/// `value / unit`, to the nearest.
fn rounded(value: i64, unit: i64) -> i64 {
    value.saturating_add(value.signum().saturating_mul(unit / 2)) / unit
}
