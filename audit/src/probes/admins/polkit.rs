//! polkit's files: rules (polkit(8)) and, as before release 0.106, `.pkla` files and `AdminIdentities` (pklocalauthority(8)).
//!
//! Of rule files in several folders, those of one name in `/etc` come first, and all are taken in the order of their names.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::polkit_rules::{self, Answer, Rule};
use crate::digest::Digest;
use crate::host::{EntryKind, Gap, GapKind, Host, gap, read_small};
use crate::probes::services::install::settings;

/// What is read, where a rule asks for it.
pub(in crate::probes) const READS: [&str; 6] = [
    "/{etc,run,usr/local/share,usr/share}/polkit-1/rules.d",
    "/{etc,run,usr/local/share,usr/share}/polkit-1/rules.d/*.rules",
    "/etc/polkit-1/localauthority.conf.d",
    "/etc/polkit-1/localauthority.conf.d/*.conf",
    "/{etc,var/lib}/polkit-1/{localauthority,localauthority/*}",
    "/{etc,var/lib}/polkit-1/localauthority/*/*.pkla",
];
const FOLDERS: [&str; 4] = [
    "/etc/polkit-1/rules.d",
    "/run/polkit-1/rules.d",
    "/usr/local/share/polkit-1/rules.d",
    "/usr/share/polkit-1/rules.d",
];
/// The most files read.
const MAX_FILES: usize = 1_000;

/// What polkit is told.
#[derive(Default)]
pub(in crate::probes) struct Polkit {
    /// Rules, in the order they are asked, with their file.
    pub(in crate::probes) rules: Vec<(PathBuf, Rule)>,
    /// Files whose rules are not understood: why, and the file's SHA-256.
    pub(in crate::probes) unread: BTreeMap<PathBuf, (String, String)>,
    /// `AdminIdentities` of older releases, the last that is set.
    pub(in crate::probes) identities: Option<(PathBuf, Vec<String>)>,
    /// `.pkla`: the file, identities, actions and results.
    pub(in crate::probes) local: Vec<Local>,
    /// What could not be seen.
    pub(in crate::probes) gaps: Vec<Gap>,
}

/// One section of a `.pkla` file.
pub(in crate::probes) struct Local {
    pub(in crate::probes) file: PathBuf,
    pub(in crate::probes) identities: Vec<String>,
    pub(in crate::probes) actions: Vec<String>,
    pub(in crate::probes) results: Vec<String>,
}

impl Local {
    /// Those it lets do `action` without an administrator's password.
    pub(in crate::probes) fn who(&self, action: &str) -> &[String] {
        let named = self
            .actions
            .iter()
            .any(|pattern| crate::glob::Glob::of_names(pattern).is_ok_and(|glob| glob.matches(action)));
        let lets = self.results.iter().any(|result| grants(result));
        if named && lets { &self.identities } else { &[] }
    }
}

/// Whether a result asks no administrator.
pub(in crate::probes) fn grants(result: &str) -> bool {
    ["yes", "auth_self", "auth_self_keep"].contains(&result.to_ascii_lowercase().as_str())
}

impl Polkit {
    /// Reads what `host` has of it.
    pub(in crate::probes) fn read(host: &dyn Host) -> Self {
        let mut polkit = Self::default();
        let mut files: BTreeMap<(OsString, usize), PathBuf> = BTreeMap::new();
        for (number, folder) in FOLDERS.into_iter().enumerate() {
            for path in polkit.list(host, Path::new(folder), "rules") {
                files.extend(path.file_name().map(OsString::from).map(|name| ((name, number), path.clone())));
            }
        }
        for path in files.into_values() {
            let Some(bytes) = polkit.bytes(host, &path) else { continue };
            let parsed = std::str::from_utf8(&bytes).map_err(|_| "not UTF-8".to_owned()).and_then(polkit_rules::parse);
            match parsed {
                Ok(rules) => polkit.rules.extend(rules.into_iter().map(|rule| (path.clone(), rule))),
                Err(why) => {
                    polkit.unread.insert(path, (why, Digest::of(&bytes).to_string()));
                }
            }
        }
        for path in polkit.list(host, Path::new("/etc/polkit-1/localauthority.conf.d"), "conf") {
            let Some(bytes) = polkit.bytes(host, &path) else { continue };
            for (_, key, value) in settings(&String::from_utf8_lossy(&bytes)) {
                if key == "AdminIdentities" {
                    polkit.identities = Some((path.clone(), list(&value)));
                }
            }
        }
        for top in ["/etc/polkit-1/localauthority", "/var/lib/polkit-1/localauthority"] {
            let folders = gap::optional(host.list(Path::new(top)));
            let folders = folders.unwrap_or_else(|gap| {
                polkit.gaps.push(gap);
                None
            });
            for folder in folders.unwrap_or_default() {
                for path in polkit.list(host, &Path::new(top).join(folder.name), "pkla") {
                    polkit.pkla(host, path);
                }
            }
        }
        polkit
    }

    fn pkla(&mut self, host: &dyn Host, path: PathBuf) {
        let Some(bytes) = self.bytes(host, &path) else { return };
        let mut sections: BTreeMap<String, Local> = BTreeMap::new();
        for (section, key, value) in settings(&String::from_utf8_lossy(&bytes)) {
            let empty =
                || Local { file: path.clone(), identities: Vec::new(), actions: Vec::new(), results: Vec::new() };
            let local = sections.entry(section.to_owned()).or_insert_with(empty);
            match key {
                "Identity" => local.identities = list(&value),
                "Action" => local.actions = list(&value),
                "ResultAny" | "ResultInactive" | "ResultActive" => local.results.push(value),
                _ => {}
            }
        }
        self.local.extend(sections.into_values());
    }

    fn list(&mut self, host: &dyn Host, folder: &Path, suffix: &str) -> Vec<PathBuf> {
        let entries = match gap::optional(host.list(folder)) {
            Ok(entries) => entries.unwrap_or_default(),
            Err(gap) => {
                self.gaps.push(gap);
                return Vec::new();
            }
        };
        if entries.len() > MAX_FILES {
            self.gaps.push(Gap::new(
                GapKind::TooLarge,
                crate::host::path_text(folder),
                format!("more than {MAX_FILES} files"),
            ));
            return Vec::new();
        }
        let paths =
            entries.into_iter().filter(|entry| entry.kind != EntryKind::Directory).map(|entry| folder.join(entry.name));
        paths.filter(|path| path.extension().is_some_and(|end| end == suffix)).collect()
    }

    fn bytes(&mut self, host: &dyn Host, path: &Path) -> Option<Vec<u8>> {
        match gap::optional(read_small(host, path)) {
            Ok(bytes) => bytes,
            Err(gap) => {
                self.gaps.push(gap);
                None
            }
        }
    }

    /// Who administers: identities of the first rule that answers, whatever the action; the older list where there are no
    /// rules. `Err` where that depends on something.
    pub(in crate::probes) fn administrators(&self) -> Result<Option<(&Path, &[String])>, String> {
        for (file, rule) in self.rules.iter().filter(|(_, rule)| rule.admin) {
            match rule.answers.as_slice() {
                [] => {}
                [(polkit_rules::Test::Always(true), Answer::Identities(identities)), ..] => {
                    return Ok(Some((file, identities)));
                }
                [..] => {
                    return Err(format!("{} answers differently for different actions", crate::host::path_text(file)));
                }
            }
        }
        Ok(self.identities.as_ref().map(|(file, identities)| (file.as_path(), identities.as_slice())))
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// An identity as sudoers spells it.
pub(in crate::probes) fn in_sudo(identity: &str) -> String {
    match identity.split_once(':') {
        Some(("unix-user", "0")) => "root".into(),
        Some(("unix-user", user)) => user.to_owned(),
        Some(("unix-group", group)) => format!("%{group}"),
        Some(("unix-netgroup", group)) => format!("+{group}"),
        Some(_) | None => identity.to_owned(),
    }
}
