//! # time
//!
//! Is the clock synchronised now, by whom, to which sources, how far off is it, and which sources are configured?
//!
//! ## What it reads
//!
//! | source | feeds | without it |
//! | --- | --- | --- |
//! | `adjtimex(2)`, nothing set | state `clock` | the daemon's own tracking alone decides; with neither, `unknown` |
//! | names, units and owners of running processes (`/proc/*/comm`) | state `daemon:*` | `unknown`, unless chronyd answers |
//! | chronyd's Unix socket (root or chrony's user only) | state `tracking:chrony`, `source:*` | the kernel decides; offset and stratum are `unknown` |
//! | systemd-timesyncd on D-Bus | state `tracking:systemd-timesyncd`, `source:*` | as above |
//! | `/etc/chrony/chrony.conf`, `/etc/chrony.conf` and what `include`, `confdir` and `sourcedir` name below `/etc/chrony`, `/etc/chrony.d`, `/run/chrony.d`, `/run/chrony-dhcp` | items `chrony:*` | items hidden by a gap |
//! | `timesyncd.conf` and `timesyncd.conf.d` in `/etc`, `/run`, `/usr/local/lib`, `/usr/lib` under `systemd` | items `systemd-timesyncd:*` | the same |
//! | `/etc/ntpsec/ntp.conf`, `/etc/ntpsec/ntp.d`, `/run/ntpsec/ntp.conf.dhcp`, `/etc/ntp.conf`, `/etc/openntpd/ntpd.conf`, `/etc/ntpd.conf` | items `ntpsec:*`, `ntp:*`, `openntpd:*` | the same |
//! | the `*.wants` folders of systemd | items `daemon:*` | the same |
//!
//! ## Items (they drift)
//!
//! - `DAEMON:ROLE:NAME`, a configured source: `chrony:server:ntp.example.org`, `chrony:pool:2.debian.pool.ntp.org`,
//!   `chrony:refclock:PHC:/dev/ptp0`, `systemd-timesyncd:fallback:built-in` (no `NTP=` or `FallbackNTP=` is written, so the list
//!   compiled into timesyncd serves), `chrony:local:clock` (the `local` directive: chronyd serves its own clock). ROLE is server,
//!   pool, peer, refclock, fallback, broadcast or local; names are in lower case without a final dot. The value holds the
//!   options as written, spaces normalised, and the files.
//! - `daemon:DAEMON`: `boot` is `enabled` (a unit of it is wanted by a target) or `masked`. A link to a unit that is no longer
//!   there enables nothing.
//!
//! - Where a rule asks `set_by`, `setter:KIND:NAME`: who may set the clock besides root and those whom sudo, doas or polkit make root
//!   (of these the admins probe tells), and by what:
//!   - `unit:NAME`, a service that runs as another user with `CAP_SYS_TIME` in `AmbientCapabilities=`. A daemon that starts as root
//!     and drops its rights is root's.
//!   - `file:PATH`, a program in the usual folders whose file carries `cap_sys_time`.
//!   - `sudo:WHO`, a rule of sudo or doas for `date`, `hwclock`, `timedatectl`, `chronyc`, `ntpdate` and their like, unless its fixed
//!     arguments only ask.
//!   - `polkit:WHO`, who needs no administrator's password for `org.freedesktop.timedate1.set-time` or `set-ntp`: `user otto`,
//!     `group ops and active`, `anybody`. A rule file that is not understood is a gap.
//!   - `chrony:socket`, chronyd's command socket, where others than chronyd's own user can write to it. Over the network it takes
//!     only commands that ask (chronyc(1)), whatever `cmdallow` says.
//!   - `ntp:ADDRESS`, whom ntpd lets change its configuration: there is a `controlkey` or `requestkey`, and no `nomodify`.
//!
//!   `setter` itself says that they were looked for.
//!
//! DAEMON is chrony, systemd-timesyncd, ntpsec, ntp, openntpd or linuxptp.
//!
//! ## State (judged, never drifts)
//!
//! - `clock`: what the kernel says: synchronised (not `TIME_ERROR`, neither `STA_UNSYNC` nor `STA_CLOCKERR`), leap, its error bound
//!   in whole seconds rounded up, and the offset its own loop is working off in whole milliseconds (absent where no daemon uses that loop).
//! - `daemon:DAEMON`: it runs, with its unit.
//! - `tracking:DAEMON`: the daemon's own word: synchronised, leap, offset in whole milliseconds (positive: the host is ahead), stratum of this host.
//! - `source:ADDRESS`: which daemon uses it, its configured name, whether it is reachable and selected, its stratum. ADDRESS is
//!   the configured name while no address is known, and the reference id (`PHC0`) for a reference clock.
//!
//! Everything is rounded so far that an unchanged host has the same state: no counters, no times, reachability as yes or no.
//!
//! ## What a rule can ask
//!
//! ```yaml
//! time:
//!   synchronised: true
//!   max_offset: 500ms
//!   by: [chrony, systemd-timesyncd, ntpsec]
//!   max_stratum: 10
//!   sources: ["*.pool.ntp.org", "169.254.169.123"]
//!   min_sources: 3
//!   set_by: ["unit:chrony.service", "sudo:%ops"]
//! ```
//!
//! - `synchronised: true`: a daemon runs, and either its own tracking is normal, within `max_offset` (1 s where none is given) and
//!   from a source it can reach, or, where it does not tell, the kernel says so. The finding says which. A daemon that says it is not
//!   synchronised is believed over the kernel. A synchronised kernel without a daemon is a deviation: nothing keeps it so.
//! - `max_offset`: how far the clock may be off, by the daemon's word or else the kernel loop's.
//! - `by`: the daemons that may run or be enabled, these and no others; one of them must run (on a root file system at rest: be enabled).
//! - `max_stratum`: 1 to 15.
//! - `sources`: patterns; every configured and every used source must match one, by name or address, and there must be one. Judged for the
//!   daemons that run or are enabled; where there are none, for every daemon that is configured. Fallbacks count only where no server is set.
//! - `set_by`: who may set the clock besides root, these and no others: patterns over the names of `setter:` items, as above. An
//!   empty list allows root alone.
//! - `min_sources`: how many sources must be configured; a pool counts for its `maxsources`, four where it does not say.
//!
//! At least one key is required. On a root file system at rest the configured sources and enabled daemons are judged and the rest does not apply.
//!
//! ## What it cannot see
//!
//! - ntpd, ntpsec and openntpd tell their peers over an IP socket or a control program, and the observing process opens no IP
//!   connection. There the kernel's word decides, and `max_stratum` is `unknown`.
//! - A configuration file named on a daemon's command line, an include outside the folders above (a gap), sources that init scripts enable,
//!   timesyncd's compiled-in list, and servers a network link hands to timesyncd until it uses one.
//! - Whether a source tells the truth. That is what several sources are for.

mod capabilities;
mod chrony_conf;
mod chrony_reply;
mod config;
mod daemon;
mod judge;
mod ntp_conf;
mod setters;
mod state;
mod timesyncd_conf;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::change::Pattern;
use crate::duration::Length;
use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Looked, Probe};

pub use daemon::{Boot, Daemon};

/// The probe.
pub struct Time;

/// What somebody decided about this host's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Item {
    /// A source a daemon is configured to use.
    Source(Configured),
    /// Whether a daemon starts with the host.
    Daemon {
        /// Enabled or masked.
        boot: Boot,
    },
    /// Somebody who may set the clock.
    Setter {
        /// By what.
        how: String,
    },
    /// Those who may set the clock were looked for.
    Looked,
}

/// A configured source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// Whose configuration.
    pub daemon: Daemon,
    /// How it is used.
    pub role: Role,
    /// Host name, address or device.
    pub name: String,
    /// The options of each line that names it and has any, spaces normalised.
    pub options: BTreeSet<String>,
    /// The files that name it; a byte that is not UTF-8 is written `\xNN`.
    pub files: BTreeSet<String>,
}

/// How a configured source is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// One server.
    Server,
    /// A name that resolves to many.
    Pool,
    /// A symmetric association.
    Peer,
    /// A clock attached to the host.
    Refclock,
    /// Used where there is no other.
    Fallback,
    /// Whoever broadcasts on the network.
    Broadcast,
    /// The daemon's own clock.
    Local,
}

impl Role {
    /// As in subjects.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Pool => "pool",
            Self::Peer => "peer",
            Self::Refclock => "refclock",
            Self::Fallback => "fallback",
            Self::Broadcast => "broadcast",
            Self::Local => "local",
        }
    }
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum State {
    /// What the kernel says.
    Clock {
        /// Whether it holds the clock synchronised.
        synchronised: bool,
        /// Leap second announced.
        leap: Leap,
        /// Its bound on the error, in whole seconds rounded up. It says unsynchronised from 16 on.
        max_error_s: i64,
        /// What its loop is working off, in milliseconds; `None` where the loop is not used.
        offset_ms: Option<i64>,
    },
    /// A daemon that runs.
    Daemon {
        /// Its systemd unit, where its control group says.
        unit: Option<String>,
    },
    /// What a daemon says of its own work.
    Tracking {
        /// Whether it is synchronised.
        synchronised: bool,
        /// Leap second announced.
        leap: Leap,
        /// How far the host's clock is ahead, in milliseconds.
        offset_ms: i64,
        /// The stratum of this host.
        stratum: u16,
    },
    /// A source in use.
    Source {
        /// Whose.
        daemon: Daemon,
        /// Its configured name, where the daemon tells.
        name: Option<String>,
        /// Whether it answered lately.
        reachable: bool,
        /// Whether the daemon follows it.
        selected: bool,
        /// Its stratum; 0 while unknown.
        stratum: u16,
    },
}

/// The leap indicator of RFC 5905, figure 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leap {
    /// None announced.
    None,
    /// The last minute of the day has 61 seconds.
    Insert,
    /// The last minute of the day has 59 seconds.
    Delete,
    /// The clock is not synchronised.
    Unsynchronised,
}

/// What a rule can ask.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whether the clock must be synchronised now; only `true` can be asked.
    pub synchronised: Option<bool>,
    /// How far it may be off.
    pub max_offset: Option<Length>,
    /// Which daemons may hold the clock.
    pub by: Option<Vec<Daemon>>,
    /// The highest stratum this host may have.
    pub max_stratum: Option<u16>,
    /// Patterns of allowed sources.
    pub sources: Option<Vec<Pattern>>,
    /// How many must be configured.
    pub min_sources: Option<u32>,
    /// Patterns of those who may set the clock: `unit:chrony.service`, `sudo:%ops`.
    pub set_by: Option<Vec<Pattern>>,
}

impl Probe for Time {
    const NAME: &'static str = "time";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/chrony.conf",
        "/etc/chrony.d",
        "/etc/chrony.d/**",
        "/etc/chrony",
        "/etc/chrony/**",
        "/run/chrony.d",
        "/run/chrony.d/*",
        "/run/chrony-dhcp",
        "/run/chrony-dhcp/*",
        "/var/run/chrony-dhcp",
        "/var/run/chrony-dhcp/*",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/timesyncd.conf",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/timesyncd.conf.d",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/timesyncd.conf.d/*",
        "/etc/ntp.conf",
        "/etc/ntp.d",
        "/etc/ntp.d/*",
        "/run/ntp.conf.dhcp",
        "/etc/ntp",
        "/etc/ntp/**",
        "/etc/ntpsec",
        "/etc/ntpsec/**",
        "/run/ntpsec/ntp.conf.dhcp",
        "/etc/ntpd.conf",
        "/etc/openntpd/ntpd.conf",
        "/{etc,run,usr/lib}/systemd/system",
        "/{etc,run,usr/lib}/systemd/system/*.wants",
        "/{etc,run,usr/lib}/systemd/system/{*.wants/,}{chrony,chronyd,systemd-timesyncd,ntpsec,ntp,ntpd,openntpd,ptp4l,phc2sys}.service",
    ];
    const ASKS: &'static [Question] = &[
        Question::KernelClock,
        Question::TimeDaemons,
        Question::ChronyTracking,
        Question::ChronySources,
        Question::Timesync,
        Question::NtpSystem,
    ];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, State> {
        let mut found = config::Found::new(host);
        chrony_conf::collect(&mut found);
        timesyncd_conf::collect(&mut found);
        ntp_conf::collect(&mut found);
        daemon::collect_boot(&mut found);
        let items = found.finish();
        let state = state::collect(host, &items);
        Facts { items, state }
    }

    fn asked(expect: &Expect) -> Vec<String> {
        expect.set_by.as_ref().map_or_else(Vec::new, |_| setters::reads())
    }

    fn collect_for(host: &dyn Host, rules: &[&Expect]) -> Facts<Item, State> {
        let mut facts = Self::collect(host);
        if rules.iter().any(|rule| rule.set_by.is_some()) {
            facts.items.seen.insert("setter".into(), Item::Looked);
            setters::collect(host, &mut facts.items);
        }
        facts
    }

    fn looked(seen: &mut dyn Iterator<Item = &str>) -> Looked {
        let setters = Iterator::any(&mut { seen }, |subject| subject == "setter");
        Box::new(move |subject| setters || !subject.starts_with("setter"))
    }

    fn judge(expect: &Expect, facts: &Facts<Item, State>, _context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts)
    }

    fn say(item: &Item) -> String {
        match item {
            Item::Source(source) => source.options.iter().map(String::as_str).collect::<Vec<_>>().join(" | "),
            Item::Daemon { boot: Boot::Enabled } => "enabled".into(),
            Item::Daemon { boot: Boot::Masked } => "masked".into(),
            Item::Setter { how } => how.clone(),
            Item::Looked => "looked for".into(),
        }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        let Expect { synchronised, max_offset, by, max_stratum, sources, min_sources, set_by } = expect;
        let wrong = |path: &str, message: &str| Err((path.to_owned(), message.to_owned()));
        let nothing = synchronised.is_none() && max_offset.is_none() && by.is_none();
        if nothing && max_stratum.is_none() && sources.is_none() && min_sources.is_none() && set_by.is_none() {
            return wrong(
                "",
                "nothing is asked: give at least one of synchronised, max_offset, by, max_stratum, sources, min_sources, set_by",
            );
        }
        if *synchronised == Some(false) {
            return wrong("synchronised", "only `true` can be asked: leave the key out to ask nothing");
        }
        if by.as_ref().is_some_and(Vec::is_empty) {
            return wrong("by", "an empty list allows no daemon at all");
        }
        if sources.as_ref().is_some_and(Vec::is_empty) {
            return wrong("sources", "an empty list allows no source at all");
        }
        if max_stratum.is_some_and(|stratum| !(1..=15).contains(&stratum)) {
            return wrong("max_stratum", "a stratum is 1 to 15 (RFC 5905)");
        }
        if *min_sources == Some(0) {
            return wrong("min_sources", "0 asks nothing");
        }
        Ok(())
    }
}

#[cfg(test)]
mod setter_tests;
#[cfg(test)]
mod tests;
