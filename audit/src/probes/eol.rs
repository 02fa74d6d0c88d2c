//! # eol
//!
//! Whether the operating system and the software on it are past their end of life, or within a warning time of it.
//!
//! ## What it reads
//!
//! `/etc/os-release`, or where there is none `/usr/lib/os-release`; on Debian and Ubuntu, where it is installed, distro-info-data's
//! `/usr/share/distro-info/debian.csv` or `ubuntu.csv`. What software is installed it takes from the `packages` probe. When each ends stands in `baselines/end-of-life.yaml`, which ships with the program and says the source of its
//! dates; the date of that data is said with every finding. A newer file is given to agent and collector by `eol: FILE` in their
//! configuration, and `plumbline-collector eol import` makes one from endoflife.date; reports name the dates by digest.
//!
//! ## State
//!
//! All of it is state: the end of life is nobody's decision and does not drift. One subject, `os`:
//! `{id, version, codename, name, support_end, distro_info}`: as os-release(5) has them, and by channel what distro-info-data says of
//! this release. The days left are no fact: they are counted
//! when judged.
//!
//! ## Expectations
//!
//! ```yaml
//! eol:
//!   channel: lts               # regular, lts (the default), extended or legacy: which support this host has
//!   warn: 90d                  # support must reach this much further than today
//!   products: [os, postgresql] # all (the default), os, software, or products by name
//!   software: distribution     # whose word counts for what the distribution ships: distribution (the default) or maker
//!   data_age: 180d             # dates older than this are a finding of their own
//! ```
//!
//! Each key may be left out. Findings are about `debian:12`, `postgresql:15` (product and cycle), `os`, `software` and, for `data_age`, `data`.
//!
//! - **channel** counts upwards: `lts` takes the latest of regular and long-term support. A product without such a channel is
//!   judged by those it has, so `lts` is right for Debian and Ubuntu alike. `extended` and `legacy` are by contract
//!   (Debian's ELTS, Ubuntu's ESM, Red Hat's ELS): say them only where there is one.
//! - **warn** makes "ends soon" a deviation, and what has ended deviates too. To give the warning a milder severity, write two rules:
//!   a severe one without `warn`, a mild one with it.
//! - **software: distribution** follows who mends it: what the distribution ships is maintained by the distribution for as long as its
//!   own channel lasts, whatever its maker does. Debian 12's `php8.2` passes until Debian 12 LTS ends, and the finding says
//!   both: who maintains it until when, and when its maker's support ended. What comes from elsewhere (a version the distribution does
//!   not ship, a maker's own package or repository) is judged by its maker's dates. Where the data does not say what the
//!   distribution ships of a product, nobody knows who mends it: while its maker does it passes, after that it is `unknown`.
//! - **software: maker** asks the stricter question, "no software past its maker's end of life": a distribution's patches do not
//!   count. On a distribution of some age this finds much.
//! - **data_age** finds dates that nobody has checked for a while; `products: []` asks for nothing else.
//!
//! A system, product or version the data does not hold is `unknown` and never a pass.
//!
//! **Whose dates of the operating system**: those of the data where it holds the release, since a host must not lengthen its own
//! support by editing a file. A release the data does not hold is judged by the host's distro-info-data, which knows channels, and
//! where that is silent by `SUPPORT_END`, as regular support; the finding says by which. Where distro-info-data or
//! `SUPPORT_END` contradict the data, the finding says that too, and the verdict stays the data's.
//!
//! ## What it cannot see
//!
//! Software no package manager knows, and products not in the data. Whether an extended contract exists. Which repository a package
//! came from: it goes by the version's form and by what the distribution is known to ship. Support that covers only
//! part of a distribution (Debian LTS leaves out some packages).

mod distro_info;
mod expect;
mod judge;
mod os_release;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Gap, Host, Question, read_small};
use crate::lifecycle::Channel;
use crate::probe::{Context, Probe};

pub use expect::{Days, Expect, Products, Whose};

/// The probe.
pub struct Eol;

/// The operating system as it calls itself; see os-release(5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `ID`: `debian`.
    pub id: String,
    /// `VERSION_ID`: `12`; a distribution that rolls has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `VERSION_CODENAME`: `bookworm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
    /// `PRETTY_NAME`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `SUPPORT_END`: the day its maker's support ends, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_end: Option<String>,
    /// What distro-info-data on the host says of this release: the last day of each channel, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub distro_info: BTreeMap<Channel, String>,
}

/// The subject of the operating system.
const OS: &str = "os";
/// The subject of a gap in what the host's distro-info-data says.
const DISTRO_INFO: &str = "distro-info";

impl Probe for Eol {
    const NAME: &'static str = "eol";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/os-release",
        "/usr/lib/os-release",
        "/usr/share/distro-info/debian.csv",
        "/usr/share/distro-info/ubuntu.csv",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &["packages"];
    type Item = ();
    type State = System;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<(), System> {
        let state = match system(host) {
            Ok(mut system) => {
                let own = system.version.as_deref().map(|version| distro_info::ends(host, &system.id, version));
                let mut gap = None;
                match own {
                    Some(Ok(ends)) => system.distro_info = ends,
                    Some(Err(found)) => gap = Some(found),
                    None => {}
                }
                let mut state = Observed::from_iter([(OS.to_owned(), system)]);
                state.gaps.extend(gap.map(|gap| (DISTRO_INFO.to_owned(), gap)));
                state
            }
            Err(gap) => Observed::hidden(gap),
        };
        Facts { items: Observed::new(), state }
    }

    fn judge(expect: &Expect, facts: &Facts<(), System>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, &facts.state, context)
    }

    fn say((): &()) -> String {
        String::new()
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

/// os-release(5): the one in /etc wins where it exists.
fn system(host: &dyn Host) -> Result<System, Gap> {
    let (own, shared) = ("/etc/os-release", "/usr/lib/os-release");
    match read_small(host, Path::new(own)) {
        Ok(bytes) => os_release::parse(own, &bytes),
        Err(gap) if gap.is_missing() => os_release::parse(shared, &read_small(host, Path::new(shared))?),
        Err(gap) => Err(gap),
    }
}

#[cfg(test)]
mod tests;
