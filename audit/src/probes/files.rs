//! # files
//!
//! The files that rules name: whether they are there, whose they are, who may do what with them, what is in them. And, where
//! a rule asks for it, what stands out among all files: those that run with more rights than their caller, those that
//! everybody may write, and those that are no longer as their package brought them.
//!
//! ## What it reads
//!
//! The paths and globs of the rules, and nothing else: a baseline that names no file sees none. `*` matches within one
//! folder and hidden names too, `**` all folders below. Folders reached through symbolic links are not entered by a glob.
//! `/etc/passwd` and `/etc/group` give owners their names. Two surveys of the whole disk are made only if a rule asks for
//! `privileged` or `world_writable`, or for `changed`. They cost a look at every file, so `collect` makes each once an hour, the
//! latter also when packages changed, and takes over what it saw in between; content is summed again only where a file's inode,
//! size or times changed. The walk covers the root's file system and what else is mounted from local disks or memory, one by one;
//! it opens folders alone and follows no link.
//!
//! ## Items
//!
//! | subject | is |
//! | --- | --- |
//! | `asked:/etc/cron.d/*` | that this path or glob was looked at; `asked:sha256:/etc/hosts`: that content was summed |
//! | `/etc/shadow` | a file that was asked for and is there: `{kind, mode, owner, group, link, acl, capabilities}` |
//! | `sha256:/etc/hosts` | the SHA-256 of the content, where a rule has `sha256` or `tracked` |
//! | `asked:privileged`, `asked:world-writable`, `asked:changed` | that the survey was made |
//! | `privileged:/usr/bin/su` | a set-user-ID or set-group-ID file, or one with capabilities, as a file |
//! | `world-writable:/srv/x` | what everybody may write; not a folder with the sticky bit, not a link |
//! | `changed:/usr/bin/x` | a file that differs from what its package brought, or is missing: `{package, missing, configuration}` |
//!
//! An owner is told by name, or by number where `/etc/passwd` has none for it. Of a symbolic link, owner, mode and content
//! are those of what it leads to; `link` says where that is. A path that is newly asked for is no drift.
//!
//! ## State
//!
//! By path, which of the asked patterns some line of the content matches. What is in a file drifts only where it is `tracked`.
//!
//! ## Expectations
//!
//! ```yaml
//! files:
//!   paths: [/etc/shadow, /etc/gshadow]
//!   present: true
//!   owner: root
//!   group: [root, shadow]
//!   at_most: "0640"
//! ```
//!
//! - `paths`: absolute paths and globs. A glob begins in a folder that is named.
//! - `present`: each is there (of a glob, something), or with `false` nothing is.
//! - `kind`: `file`, `folder`, `link` or `other`: a path must be one; of what a glob matches only these are meant. Without
//!   it, a glob means everything but folders.
//! - `owner`, `group`: a name or a list of those allowed.
//! - `mode`: exactly this, or one of these; `at_most`: no bit beyond these. In quotes, four octal digits: `"0640"`.
//! - `acl: none`: no access control list beyond the mode. `capabilities: []`: the only file capabilities it may have.
//! - `sha256`: the content, as `sha256sum` prints it, or one of a list.
//! - `contains`, `lacks`: regular expressions, each matched by some line, by no line. Bytes, not characters; no look-around
//!   and no back references, so that the time is linear. Files up to 1 MiB.
//! - `tracked: true`: the content is an item: each change of it is drift.
//! - `privileged`: the only set-user-ID and set-group-ID files and files with capabilities, as a list of paths and globs.
//! - `world_writable`: the only ones everybody may write. `[]` for none.
//! - `changed`: the only files of packages that may differ from what was shipped or be missing; `changed_configuration` the same
//!   of those that packages mark as configuration (dpkg's conffiles, rpm's `%config`).
//!
//! What is asked of a path that is not there does not apply, unless `present`, `contains` or `sha256` ask for it.
//!
//! ## What it cannot see
//!
//! Paths the host's own baseline does not name: where only the collector's does, the answer is unknown and says so. ACLs and
//! capabilities of what a link leads to. Default ACLs of folders. Of network file systems, read-only images (squashfs), /proc, /sys,
//! /dev and /run nothing is surveyed; of a root at rest, no other file system than its own. Of files and folders that everybody may
//! write at most 300 are told, so of privileged and of changed files; a gap says that there are more. Packages' sums stand on the
//! same host, dpkg's are MD5: they show accidents and careless hands, not an attacker who edits the list too; against that, track
//! the file. Verified are regular files of dpkg and rpm: their content, not their owner, mode or links; sums of rpm other than MD5
//! and SHA-256, and those of apk and pacman, are a gap. A file that dpkg was told not to unpack (`path-exclude`) may be missing.

pub(crate) mod accounts;
mod expect;
mod judge;
mod observe;
pub mod packaged;
pub(crate) mod paths;
pub mod places;
pub(in crate::probes) mod rights;
pub mod survey;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{EntryKind, Host, Question};
use crate::probe::{Context, Looked, Probe};

pub use expect::{Expect, Kind};

/// The probe.
pub struct Files;

/// One configuration item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Item {
    /// Looked at, whatever was found.
    Asked,
    /// A file that was asked for.
    File(File),
    /// The SHA-256 of its content, as `sha256sum` prints it.
    Sha256(String),
    /// A packaged file that is not as it was brought.
    Changed(Changed),
}

/// How a file differs from what its package brought.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Changed {
    /// The package's name, without architecture or version.
    pub package: String,
    /// Whether it is not there at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
    /// Whether the package marks it as configuration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub configuration: bool,
}

/// A file, folder or anything else with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What it is, links followed; a link that leads nowhere is a link.
    pub kind: EntryKind,
    /// Permission bits as four octal digits: `0644`.
    pub mode: String,
    /// The owner's name, or number.
    pub owner: String,
    /// The group's name, or number.
    pub group: String,
    /// Where it leads, if it is a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What the access control list says beyond the mode: `user:ava:rw-,group::r--,mask::rw-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
    /// Capabilities as getcap(8) writes them: `cap_net_raw=ep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<String>,
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Of each pattern asked for, whether some line matches.
    Lines(BTreeMap<String, bool>),
}

impl Probe for Files {
    const NAME: &'static str = "files";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &["/etc/passwd", "/etc/group"];
    const ASKS: &'static [Question] = &[Question::UnusualFiles, Question::ChangedPackageFiles];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, State> {
        Self::collect_for(host, &[])
    }

    fn asked(expect: &Expect) -> Vec<String> {
        expect.paths.iter().flatten().flat_map(paths::Asking::reads).collect()
    }

    fn collect_for(host: &dyn Host, rules: &[&Expect]) -> Facts<Item, State> {
        observe::observe(host, rules)
    }

    fn looked(seen: &mut dyn Iterator<Item = &str>) -> Looked {
        paths::looked(seen)
    }

    fn judge(expect: &Expect, facts: &Facts<Item, State>, _context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts)
    }

    fn say(item: &Item) -> String {
        match item {
            Item::Asked => "looked at".into(),
            Item::File(file) => file.to_string(),
            Item::Sha256(sum) => sum.clone(),
            Item::Changed(Changed { package, missing, .. }) => {
                format!("{} {package}", if *missing { "missing, of" } else { "changed, of" })
            }
        }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

impl std::fmt::Display for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.kind != EntryKind::File {
            write!(f, "{} ", Kind::of(self.kind).name())?;
        }
        write!(f, "{} {}:{}", self.mode, self.owner, self.group)?;
        if let Some(link) = &self.link {
            write!(f, ", a link to {link}")?;
        }
        if let Some(acl) = &self.acl {
            write!(f, ", {acl}")?;
        }
        match &self.capabilities {
            Some(capabilities) => write!(f, ", {capabilities}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
