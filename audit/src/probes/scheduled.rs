//! # scheduled
//!
//! What the host does by itself at set times: who, when and what, in every place cron, anacron, at and systemd look.
//!
//! ## What it reads
//!
//! | source | feeds |
//! | --- | --- |
//! | `/etc/crontab`, `/etc/cron.d/*` | items `cron:FILE#…`, `environment:FILE` |
//! | `/var/spool/cron/crontabs/USER` (Debian), `/var/spool/cron/USER` (Red Hat), `/etc/crontabs/USER` (Alpine) | the same |
//! | `/etc/cron.hourly`, `.daily`, `.weekly`, `.monthly`, and Alpine's `/etc/periodic/*` | items `script:FILE` |
//! | `/etc/anacrontab` | items `anacron:JOB` |
//! | `/var/spool/cron/atjobs`, `/var/spool/at`, `/var/spool/atjobs` | items `at:FILE` |
//! | systemd's timers, with their drop-ins; those of users who linger (`/var/lib/systemd/linger`, homes below `/home` and `/root`) | items `timer:NAME`, `timer:USER/NAME` |
//! | `/etc/cron.allow`, `cron.deny`, `at.allow`, `at.deny` | items `access:cron`, `access:at` |
//! | owner and mode of all of these | items `file:PATH`, and what cron itself refuses |
//!
//! What cannot be read is a gap over what it would have shown.
//!
//! ## Items
//!
//! **A command line may hold a password, so none is ever shown or sent.** A job's value holds `user`, `when` (the five fields or `@daily`,
//! blanks normalised; a timer's `On…=` settings), `program` (the command's first word, assignments and what follows it left out) and
//! `digest`: the SHA-256 of the whole command, or of the script. A changed argument is a changed digest. The subject of a crontab's
//! line ends in `#` and eight hexadecimal digits of the digest of user, time and command, so that lines may move without drift; of two equal
//! lines one is told.
//!
//! `ignored` says why cron passes a job over: the name of its file, its owner or mode, no newline at the end. It is one change away from
//! running and therefore still an item. What Debian's cron and cronie refuse differs; cronie is taken where `/usr/sbin/crond` is.
//!
//! - `environment:FILE`: the names a crontab sets and a digest of the settings: a changed `PATH` changes every job below it.
//! - `timer:NAME`: `runs` (its unit) and `enabled`: whether it starts with the host. The unit itself is the `services` probe's.
//! - `file:PATH`: `uid`, `gid`, `mode` of a file or folder of these that others than root can write.
//! - `access:cron`, `access:at`: who may and may not use them; nothing where neither file is there.
//!
//! There is no state.
//!
//! ## Expectations
//!
//! ```yaml
//! scheduled:
//!   only: ["timer:apt-daily*", "script:/etc/cron.daily/*", "cron:/etc/cron.d/backup"]
//!   present: ["timer:logrotate.timer"]
//!   absent: ["at:*"]
//!   users: [root]
//!   files: safe
//! ```
//!
//! - `only`: every job that cron, at or an enabled timer would run matches one of these, by its subject, or its subject up to the `#`.
//! - `present`: each is there and would run. `absent`: none is there, not even ignored.
//! - `users`: jobs of no other users. Timers of the system are root's.
//! - `files: safe`: nobody but root can write what runs as root.
//!
//! ## What it cannot see
//!
//! What a command goes on to do. Crontabs in other folders (fcron, bcron), and users' timers in homes that stand elsewhere. A crontab with more than
//! one hard link, which Debian's cron passes over. Whether cron
//! runs: ask `services` for that. A line it does not understand is a gap over its file, never a passed-over line.

mod anacron;
mod at;
mod cron;
mod expect;
mod field;
mod files;
mod judge;
mod timers;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Probe};
use crate::probes::services::tree;

pub use expect::Expect;

/// The probe.
pub struct Scheduled;

/// What somebody decided about what the host does at set times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Item {
    /// A command, script or timer.
    Job(Job),
    /// What a crontab sets for its jobs.
    Environment {
        /// The names set.
        names: Vec<String>,
        /// Of names and values, in order.
        digest: Digest,
    },
    /// A file others than root can write.
    File {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Permission bits, octal.
        mode: String,
    },
    /// Who may use cron or at: the lines of the `allow` file, else of the `deny` file.
    Access {
        /// Those who may, where there is such a file.
        allow: Option<Vec<String>>,
        /// Those who may not, where there is such a file.
        deny: Option<Vec<String>>,
    },
}

/// A command, script or timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Whose.
    pub user: String,
    /// When, normalised.
    pub when: String,
    /// The first word of the command; the script's path; the timer's unit.
    pub program: String,
    /// Of the whole command or script; `None` for timers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Why it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<String>,
}

impl Probe for Scheduled {
    const NAME: &'static str = "scheduled";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/crontab",
        "/etc/anacrontab",
        "/etc/cron.d",
        "/etc/cron.d/*",
        "/etc/cron.{hourly,daily,weekly,monthly}",
        "/etc/cron.{hourly,daily,weekly,monthly}/*",
        "/etc/periodic/{15min,hourly,daily,weekly,monthly}",
        "/etc/periodic/{15min,hourly,daily,weekly,monthly}/*",
        "/etc/crontabs",
        "/etc/crontabs/*",
        "/var/spool/cron",
        "/var/spool/cron/*",
        "/var/spool/cron/{crontabs,atjobs}/*",
        "/var/spool/{at,atjobs}",
        "/var/spool/{at,atjobs}/*",
        "/etc/{cron,at}.{allow,deny}",
        "/etc/passwd",
        "/usr/sbin/crond",
        "/lib",
        "/usr/lib/systemd/systemd",
        "/lib/systemd/systemd",
        tree::READS_FOLDERS,
        tree::READS_UNITS,
        tree::READS_WITHIN,
        "/var/lib/systemd/linger",
        "/{home/*,root}/.config/systemd/user/timers.target.wants",
        "/{home/*,root}/.config/systemd/user/timers.target.wants/*",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Item;
    type State = ();
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, ()> {
        let mut found = files::Found::new(host);
        cron::collect(&mut found);
        anacron::collect(&mut found);
        at::collect(&mut found);
        timers::collect(&mut found);
        files::collect_access(&mut found);
        Facts { items: found.items, state: Observed::new() }
    }

    fn judge(expect: &Expect, facts: &Facts<Item, ()>, _context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, &facts.items)
    }

    fn say(item: &Item) -> String {
        match item {
            Item::Job(job) => {
                let digest = job.digest.map(|digest| format!(" ({})", digest.short())).unwrap_or_default();
                let ignored = job.ignored.as_ref().map(|why| format!(", ignored: {why}")).unwrap_or_default();
                format!("{} runs {}{digest} at {}{ignored}", job.user, job.program, job.when)
            }
            Item::Environment { names, digest } => format!("sets {} ({})", names.join(", "), digest.short()),
            Item::File { uid, gid, mode } => format!("mode {mode}, owner {uid}, group {gid}"),
            Item::Access { allow: Some(allow), .. } => format!("only {}", or_nobody(allow)),
            Item::Access { allow: None, deny } => match deny {
                Some(deny) => format!("all but {}", or_nobody(deny)),
                None => "everyone".to_owned(),
            },
        }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

fn or_nobody(users: &[String]) -> String {
    if users.is_empty() { "nobody".to_owned() } else { users.join(", ") }
}

#[cfg(test)]
mod tests;
