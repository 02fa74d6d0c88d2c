//! dpkg's own lists: `/var/lib/dpkg/info/*.md5sums`, and the conffiles in its status.
//!
//! Source: dpkg(1) (`--verify`, `--path-exclude`), deb-md5sums(5), deb-conffiles(5), dpkg-divert(1). A file that another package
//! diverted is looked for where it was put. A list keeps files that another package has since taken over: what differs counts
//! only where the package's `.list` still has the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

use super::{Found, Verifying};
use crate::host::gap::optional;
use crate::host::{Checksum, EntryKind, Gap, GapKind, Host, read_small};
use crate::probes::packages::rpm::files::bytes_of_hex;

const INFO: &str = "/var/lib/dpkg/info";
const STATUS: &str = "/var/lib/dpkg/status";
const CONFIGURATION: &str = "/etc/dpkg/dpkg.cfg";
const CONFIGURATIONS: &str = "/etc/dpkg/dpkg.cfg.d";
/// The most files of configuration; a desktop with everything has some 5,000.
const MAX_CONFFILES: usize = 100_000;
/// The most patterns of files not to unpack.
const MAX_PATTERNS: usize = 1_000;

/// Whether there is such a database, and if so, all of it verified.
pub(super) fn verify(host: &dyn Host, verifying: &mut Verifying<'_>) -> Result<bool, Gap> {
    let Some(lists) = optional(host.list(Path::new(INFO)))? else { return Ok(false) };
    let Some(status) = optional(host.read(Path::new(STATUS)))? else { return Ok(false) };
    let conffiles = conffiles(&status)?;
    drop(status);
    let diverted = diversions(host)?;
    let excluded = Excluded::read(host)?;
    let put = |path: Vec<u8>, own: &str| {
        let elsewhere = diverted.get(&path).filter(|(_, by)| by != own);
        elsewhere.map_or(path, |(to, _)| to.clone())
    };
    for entry in lists {
        let name = entry.name.to_string_lossy();
        let Some(list) = name.strip_suffix(".md5sums") else { continue };
        let package = list.split(':').next().unwrap_or(list);
        let sums = match host.read(&Path::new(INFO).join(&entry.name)) {
            Ok(sums) => sums,
            Err(gap) => {
                verifying.unseen.put(gap);
                continue;
            }
        };
        let mut owned = None;
        for (sum, path) in sums.split(|byte| *byte == b'\n').filter_map(line) {
            let path = [b"/", path].concat();
            if conffiles.contains_key(&path) {
                continue;
            }
            let at = put(path.clone(), package);
            let found = match verifying.look(&at, Checksum::Md5, &sum) {
                None | Some(Found::AsBrought) => continue,
                Some(Found::Missing) if excluded.is(&path) => continue,
                Some(found) => found,
            };
            let owned = owned.get_or_insert_with(|| host.read(&Path::new(INFO).join(format!("{list}.list"))));
            match owned {
                Ok(owned) if !owned.split(|byte| *byte == b'\n').any(|line| line == path) => {}
                // A list that cannot be read takes nothing back.
                Ok(_) | Err(_) => verifying.tell(&at, package, found, false),
            }
        }
    }
    for (path, (package, sum)) in conffiles {
        let at = put(path, &package);
        if let Some(found) = verifying.look(&at, Checksum::Md5, &sum) {
            verifying.tell(&at, &package, found, true);
        }
    }
    Ok(true)
}

/// `<32 hex digits>  usr/bin/x`.
fn line(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (sum, rest) = line.split_at_checked(32)?;
    Some((md5(sum)?, rest.strip_prefix(b"  ")?))
}

fn md5(digits: &[u8]) -> Option<Vec<u8>> {
    (digits.len() == 32).then(|| bytes_of_hex(digits)).flatten()
}

/// By path: where it was put, and the package that did so (`:` for the administrator).
type Diversions = BTreeMap<Vec<u8>, (Vec<u8>, String)>;

fn diversions(host: &dyn Host) -> Result<Diversions, Gap> {
    let bytes = optional(read_small(host, Path::new("/var/lib/dpkg/diversions")))?.unwrap_or_default();
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut all = BTreeMap::new();
    while let (Some(from), Some(to), Some(by)) = (lines.next(), lines.next(), lines.next()) {
        all.insert(from.to_vec(), (to.to_vec(), String::from_utf8_lossy(by).into_owned()));
    }
    Ok(all)
}

/// The package and the sum.
type Conffiles = BTreeMap<Vec<u8>, (Arc<str>, Vec<u8>)>;

/// By path: package and sum of each file marked as configuration, but those that newer versions no longer have.
fn conffiles(status: &[u8]) -> Result<Conffiles, Gap> {
    let mut found = BTreeMap::new();
    let (mut package, mut unpacked, mut inside) = (Arc::<str>::from(""), false, false);
    for line in status.split(|byte| *byte == b'\n') {
        if let Some(row) = line.strip_prefix(b" ").filter(|_| inside) {
            // A path may have blanks, the words behind it have none.
            let row = std::str::from_utf8(row).ok().filter(|_| unpacked);
            let Some((path, sum)) = row.and_then(|row| row.rsplit_once(' ')) else { continue };
            if let Some(sum) = md5(sum.as_bytes()) {
                found.insert(path.as_bytes().to_vec(), (package.clone(), sum));
                if found.len() > MAX_CONFFILES {
                    let detail = format!("more than {MAX_CONFFILES} configuration files");
                    return Err(Gap::new(GapKind::TooLarge, STATUS, detail));
                }
            }
            continue;
        }
        inside = line == b"Conffiles:";
        if let Some(name) = line.strip_prefix(b"Package: ") {
            package = Arc::from(std::str::from_utf8(name).unwrap_or_default());
        } else if let Some(status) = line.strip_prefix(b"Status: ") {
            // Of a package that was removed the configuration may stay, and need not.
            let gone = [&b" config-files"[..], b" not-installed", b" half-installed"];
            unpacked = !gone.iter().any(|state| status.ends_with(state));
        }
    }
    Ok(found)
}

/// What dpkg was told not to unpack.
struct Excluded(Vec<(bool, GlobMatcher)>);

impl Excluded {
    fn read(host: &dyn Host) -> Result<Self, Gap> {
        let mut files = vec![CONFIGURATION.to_owned()];
        for entry in optional(host.list(Path::new(CONFIGURATIONS)))?.unwrap_or_default() {
            // Other names are leftovers of editors and package managers.
            let name = entry.name.to_str().unwrap_or_default();
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if plain && entry.kind != EntryKind::Directory {
                files.push(format!("{CONFIGURATIONS}/{name}"));
            }
        }
        let mut patterns = Vec::new();
        for file in files {
            let text = optional(crate::host::read_text(host, &file))?.unwrap_or_default();
            for line in text.lines() {
                let line = line.trim();
                let (option, pattern) = line.split_once(['=', ' ', '\t']).unwrap_or_default();
                let excludes = match option.trim_start_matches('-') {
                    "path-exclude" => true,
                    "path-include" => false,
                    _ => continue,
                };
                // fnmatch(3) without FNM_PATHNAME: a star crosses slashes, and braces mean themselves.
                let pattern = pattern.trim().trim_matches(['"', '\'']).replace('{', "[{]").replace('}', "[}]");
                let glob = GlobBuilder::new(&pattern).literal_separator(false).build();
                if let Some(glob) = glob.ok().filter(|_| patterns.len() < MAX_PATTERNS) {
                    patterns.push((excludes, glob.compile_matcher()));
                }
            }
        }
        Ok(Self(patterns))
    }

    /// The last pattern that matches decides.
    fn is(&self, path: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        self.0.iter().rev().find(|(_, glob)| glob.is_match(path)).is_some_and(|(excludes, _)| *excludes)
    }
}
