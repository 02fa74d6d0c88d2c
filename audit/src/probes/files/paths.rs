//! Which paths a rule means, how a glob is walked, and which items an observation could have shown.
//!
//! A glob begins in a folder that is named and is walked no deeper than it can match. Links to folders are not entered, so
//! that no loop is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use serde::Deserialize;

use crate::host::{EntryKind, Gap, GapKind, Host, path_text};
use crate::probe::Looked;

/// The prefix of the items that say what was looked at.
pub(crate) const ASKED: &str = "asked:";
/// The prefix of sums.
pub(crate) const SHA256: &str = "sha256:";
/// The most names all globs of a baseline may have to look at.
pub(crate) const MAX_WALKED: usize = 50_000;

/// The longest path a rule may name, in bytes; limits.h has 4096 for any.
const MAX_LENGTH: usize = 1024;

/// A path, or a glob over paths, as a rule names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Asking {
    text: String,
    /// The path, or the folder the glob begins in.
    base: PathBuf,
    glob: Option<Glob>,
}

#[derive(Debug, Clone)]
struct Glob {
    matcher: GlobMatcher,
    /// The folders on the way, as globs.
    way: Vec<String>,
    entered: GlobSet,
}

impl TryFrom<String> for Asking {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = parts(&text)?;
        let first = parts.iter().position(|part| has_wildcard(part));
        let Some(first) = first else {
            return Ok(Self { base: PathBuf::from(&text), text, glob: None });
        };
        if first == 0 {
            return Err(format!("`{text}` would begin at the root of everything: name the folder it begins in"));
        }
        let refuse = |error: globset::Error| format!("`{text}` is not a glob: {}", error.kind());
        let mut way = String::new();
        let (mut globs, mut set) = (Vec::new(), GlobSetBuilder::new());
        for (number, part) in parts.iter().enumerate() {
            // Alone too: `{a,b/c}` and `[a/b]` would be cut apart by the folders they are walked by.
            glob(part).map_err(refuse)?;
            way = format!("{way}/{part}");
            let last = number + 1 == parts.len();
            if number >= first && (!last || *part == "**") {
                set.add(glob(&way).map_err(refuse)?);
                globs.push(way.clone());
            }
        }
        let entered = set.build().map_err(refuse)?;
        let matcher = glob(&text).map_err(refuse)?.compile_matcher();
        let base = Path::new("/").join(parts.iter().take(first).collect::<PathBuf>());
        Ok(Self { text, base, glob: Some(Glob { matcher, way: globs, entered }) })
    }
}

impl Asking {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path, where no glob was written.
    pub fn literal(&self) -> Option<&Path> {
        if self.glob.is_none() { Some(&self.base) } else { None }
    }

    /// Whether `path`, as a subject, is meant.
    pub fn matches(&self, path: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.matcher.is_match(path),
            None => self.text == path,
        }
    }

    /// The folder a glob begins in, as the subjects below it begin.
    pub(crate) fn below(&self) -> String {
        format!("{}/", path_text(&self.base))
    }

    /// What has to be admitted to see all of it.
    pub(crate) fn reads(&self) -> Vec<String> {
        let mut reads = vec![self.text.clone()];
        if let Some(glob) = &self.glob {
            reads.push(path_text(&self.base));
            reads.extend(glob.way.iter().cloned());
        }
        reads
    }

    /// Everything on `host` that is meant. `walked` counts the names looked at; folders that could not be listed are told
    /// with their gaps.
    pub(crate) fn find(&self, host: &dyn Host, walked: &mut usize) -> (Vec<PathBuf>, Vec<(PathBuf, Gap)>) {
        let Some(glob) = &self.glob else { return (vec![self.base.clone()], Vec::new()) };
        let (mut found, mut gaps) = (Vec::new(), Vec::new());
        let mut folders = vec![self.base.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match host.list(&folder) {
                Ok(entries) => entries,
                Err(gap) if gap.is_missing() => continue,
                Err(gap) => {
                    gaps.push((folder, gap));
                    continue;
                }
            };
            *walked = walked.saturating_add(entries.len());
            if *walked > MAX_WALKED {
                let detail = format!("the globs of the baseline lead to more than {MAX_WALKED} names");
                return (Vec::new(), vec![(self.base.clone(), Gap::new(GapKind::TooLarge, &self.text, detail))]);
            }
            for entry in entries {
                let path = folder.join(&entry.name);
                let is_folder = entry.kind == EntryKind::Directory;
                if is_folder && glob.entered.is_match(&path) {
                    folders.push(path.clone());
                }
                if glob.matcher.is_match(&path) {
                    found.push(path);
                }
            }
        }
        (found, gaps)
    }
}

/// A path's parts, where it is one a rule may name.
fn parts(text: &str) -> Result<Vec<&str>, String> {
    let Some(inside) = text.strip_prefix('/') else {
        return Err(format!("`{text}` is not an absolute path"));
    };
    let parts: Vec<&str> = inside.split('/').collect();
    let odd = |part: &&str| part.is_empty() || *part == "." || *part == "..";
    if text.len() > MAX_LENGTH || text.contains(['\\', '\0', '\n']) || parts.iter().any(odd) {
        let forms = "no `.`, `..`, empty part or backslash, and no slash at the end";
        return Err(format!("`{text}` is not a path a rule can name: at most {MAX_LENGTH} bytes, {forms}"));
    }
    match parts.first() {
        Some(&("proc" | "sys" | "dev")) => Err(format!("`{text}`: what is there is the kernel's, and no file")),
        Some(_) | None => Ok(parts),
    }
}

fn has_wildcard(part: &str) -> bool {
    part.contains(['*', '?', '[', '{'])
}

fn glob(text: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).build()
}

/// See [`crate::probe::Probe::looked`]: by the `asked:` items of an observation, which subjects it would have shown.
pub(crate) fn looked(seen: &mut dyn Iterator<Item = &str>) -> Looked {
    let (mut paths, mut sums) = (GlobSetBuilder::new(), GlobSetBuilder::new());
    let mut asked = BTreeSet::new();
    for text in seen.filter_map(|subject| subject.strip_prefix(ASKED)) {
        let (set, path) = match text.strip_prefix(SHA256) {
            Some(path) => (&mut sums, path),
            None => (&mut paths, text),
        };
        if let Some(compiled) = path.starts_with('/').then(|| glob(path).ok()).flatten() {
            set.add(compiled);
        }
        asked.insert(text.to_owned());
    }
    let paths = paths.build().unwrap_or_default();
    let sums = sums.build().unwrap_or_default();
    Box::new(move |subject| {
        if subject.starts_with('/') {
            paths.is_match(subject)
        } else if let Some(path) = subject.strip_prefix(SHA256) {
            sums.is_match(path)
        } else if let Some(text) = subject.strip_prefix(ASKED) {
            asked.contains(text)
        } else {
            subject.split_once(':').is_some_and(|(survey, _)| asked.contains(survey))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    fn asking(text: &str) -> Asking {
        Asking::try_from(text.to_owned()).unwrap()
    }

    fn found(host: &Recorded, text: &str) -> Vec<String> {
        let (mut found, gaps) = asking(text).find(host, &mut 0);
        assert!(gaps.is_empty(), "{gaps:?}");
        found.sort();
        found.iter().map(|path| path_text(path)).collect()
    }

    #[test]
    fn what_no_rule_should_name_is_refused() {
        for bad in [
            "etc/x",
            "/",
            "",
            "/etc/",
            "/etc/../x",
            "/etc//x",
            "/*",
            "/**",
            "/{a,b}/c",
            "/etc/{a,b/c}",
            "/etc/[a/b]",
            "/etc/[",
            "/proc/1/x",
            "/sys",
            "/dev/**",
            "/a\\b",
            "/a\nb",
            "/etc/./x",
        ] {
            assert!(Asking::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Asking::try_from(format!("/{}", "a".repeat(2000))).is_err());
    }

    #[test]
    fn a_glob_is_walked_as_deep_as_it_can_match() {
        let host = Recorded::new()
            .file("/etc/a.conf", "")
            .file("/etc/x/a.conf", "")
            .file("/etc/x/.hidden.conf", "")
            .file("/etc/x/y/a.conf", "")
            .file("/etc/x/y/b", "");
        assert_eq!(found(&host, "/etc/*.conf"), ["/etc/a.conf"]);
        assert_eq!(found(&host, "/etc/*/*.conf"), ["/etc/x/.hidden.conf", "/etc/x/a.conf"]);
        let all = ["/etc/a.conf", "/etc/x/.hidden.conf", "/etc/x/a.conf", "/etc/x/y/a.conf"];
        assert_eq!(found(&host, "/etc/**/*.conf"), all);
        assert_eq!(
            found(&host, "/etc/x/**"),
            ["/etc/x/.hidden.conf", "/etc/x/a.conf", "/etc/x/y", "/etc/x/y/a.conf", "/etc/x/y/b"]
        );
        assert!(found(&host, "/none/*").is_empty());
    }

    #[test]
    fn what_a_glob_needs_to_be_walked_is_admitted() {
        assert_eq!(asking("/etc/passwd").reads(), ["/etc/passwd"]);
        assert_eq!(asking("/etc/*/x").reads(), ["/etc/*/x", "/etc", "/etc/*"]);
        assert_eq!(asking("/etc/a/**").reads(), ["/etc/a/**", "/etc/a", "/etc/a/**"]);
    }

    #[test]
    fn a_folder_that_cannot_be_listed_and_a_tree_that_is_too_large_are_gaps() {
        let host = Recorded::new().file("/srv/a/x", "").gap("/srv/b", GapKind::Denied).folder("/srv/b");
        let host = host.clone().folder("/srv");
        let (found, gaps) = asking("/srv/a/*").find(&host, &mut 0);
        assert_eq!((found.len(), gaps.len()), (1, 0));
        let (_, gaps) = asking("/srv/b/*").find(&host, &mut 0);
        assert_eq!(gaps.first().unwrap().1.kind, GapKind::Denied);
        let (found, gaps) = asking("/srv/a/*").find(&host, &mut MAX_WALKED.clone());
        assert!(found.is_empty());
        assert_eq!(gaps.first().unwrap().1.kind, GapKind::TooLarge);
    }
}
