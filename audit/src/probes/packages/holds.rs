//! Which packages somebody asked to stay as they are. dpkg keeps that in its own database (`apt-mark hold` writes it there);
//! the others in files of their own.
//!
//! Sources: dnf's and yum's versionlock plug-ins (`[!]NAME-EPOCH:VERSION-RELEASE.ARCH`, or a glob over any of the forms
//! in which dnf writes a package), zypper-locks (`solvable_name: …`), pacman.conf(5) (`IgnorePkg`), apk-world(5)
//! (`NAME=VERSION`, `NAME<VERSION`, `NAME~VERSION`, each of which keeps a package from its next version).

use super::{Manager, Origin, Package, Selection};
use crate::change::Pattern;
use crate::facts::Facts;
use crate::host::{Gap, Host, read_text};
use crate::version::RpmVersion;

const LOCKS: [&str; 3] =
    ["/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list", "/etc/dnf/versionlock.toml"];
const ZYPPER: &str = "/etc/zypp/locks";
const PACMAN: &str = "/etc/pacman.conf";
const WORLD: &str = "/etc/apk/world";
/// The most locks of one host.
const MAX_LOCKS: usize = 1_000;

/// Marks what is held. A file of locks that cannot be read hides everything: whether a package is held is part of each.
pub(super) fn mark(host: &dyn Host, facts: &mut Facts<Package, Origin>) {
    let has = |manager: Manager| facts.items.seen.values().any(|package| package.manager == manager);
    let (rpm, apk, pacman) = (has(Manager::Rpm), has(Manager::Apk), has(Manager::Pacman));
    if rpm {
        for path in LOCKS {
            let toml = path.ends_with(".toml");
            each_line(host, path, facts, |line| if toml { toml_name(line) } else { versionlock(line) }, Manager::Rpm);
        }
        each_line(
            host,
            ZYPPER,
            facts,
            |line| line.strip_prefix("solvable_name:").map(|name| vec![name.trim()]),
            Manager::Rpm,
        );
    }
    if pacman {
        each_line(host, PACMAN, facts, ignored, Manager::Pacman);
    }
    if apk {
        each_line(host, WORLD, facts, pinned, Manager::Apk);
    }
}

fn each_line(
    host: &dyn Host,
    path: &str,
    facts: &mut Facts<Package, Origin>,
    locks: impl Fn(&str) -> Option<Vec<&str>>,
    manager: Manager,
) {
    let text = match read_text(host, path) {
        Ok(text) => text,
        Err(gap) if gap.is_missing() => return,
        Err(gap) => return facts.items.hide("", gap),
    };
    let locks: Vec<&str> = text.lines().filter_map(|line| locks(line.trim())).flatten().collect();
    if locks.len() > MAX_LOCKS {
        return facts.items.hide("", Gap::malformed(path, format!("names more than {MAX_LOCKS} packages")));
    }
    for lock in locks {
        let Ok(pattern) = lock.parse::<Pattern>() else {
            facts.items.hide("", Gap::malformed(path, "a lock that is no name and no glob"));
            continue;
        };
        for package in facts.items.seen.values_mut().filter(|package| package.manager == manager) {
            if forms(package).iter().any(|form| pattern.matches(form)) {
                package.selection = Selection::Hold;
            }
        }
    }
}

/// The ways to write a package of rpm's; of any other, its name.
fn forms(package: &Package) -> Vec<String> {
    let (name, architecture) = (&package.name, &package.architecture);
    let mut forms = vec![name.clone()];
    if package.manager != Manager::Rpm {
        return forms;
    }
    for full in package.others.iter().chain([&package.version]) {
        let (epoch, rest) = full.split_once(':').unwrap_or(("0", full));
        let version = RpmVersion::parse(full).upstream();
        forms.extend([
            format!("{name}.{architecture}"),
            format!("{name}-{version}"),
            format!("{name}-{rest}"),
            format!("{name}-{rest}.{architecture}"),
            format!("{name}-{epoch}:{rest}"),
            format!("{name}-{epoch}:{rest}.{architecture}"),
            format!("{epoch}:{name}-{rest}"),
            format!("{epoch}:{name}-{rest}.{architecture}"),
        ]);
    }
    forms
}

/// A line that begins with `!` excludes a version, which holds nothing.
fn versionlock(line: &str) -> Option<Vec<&str>> {
    (!line.is_empty() && !line.starts_with(['#', '!'])).then(|| vec![line])
}

/// dnf 5 keeps tables: `name = "bash"`.
fn toml_name(line: &str) -> Option<Vec<&str>> {
    let value = line.strip_prefix("name")?.trim_start().strip_prefix('=')?.trim();
    Some(vec![value.trim_matches(['"', '\''])])
}

fn ignored(line: &str) -> Option<Vec<&str>> {
    let (key, value) = line.split_once('=')?;
    (key.trim() == "IgnorePkg").then(|| value.split_whitespace().collect())
}

fn pinned(line: &str) -> Option<Vec<&str>> {
    let names = line.split_whitespace().filter(|word| !word.starts_with('!') && !word.contains('>'));
    let names = names.filter_map(|word| word.split_once(['=', '<', '~']).map(|(name, _)| name)).collect::<Vec<_>>();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;
    use crate::probe::Probe as _;
    use crate::probes::packages::Packages;

    fn held(host: &Recorded) -> Vec<String> {
        let facts = Packages::collect(host);
        assert_eq!(facts.items.gaps, Default::default());
        let held = facts.items.seen.into_iter().filter(|(_, package)| package.selection == Selection::Hold);
        held.map(|(subject, _)| subject).collect()
    }

    #[test]
    fn apk_holds_what_its_world_keeps_from_the_next_version() {
        let database = ["a", "b", "c", "d"].map(|name| format!("P:{name}\nV:1-r0\nA:x86_64\n\n")).concat();
        let host = Recorded::new().file("/lib/apk/db/installed", database);
        assert_eq!(held(&host.file(WORLD, "a=1-r0\nb<2\nc>=1\nd@edge\n!z\n")), ["a:x86_64", "b:x86_64"]);
    }

    #[test]
    fn pacman_holds_what_its_configuration_ignores() {
        let desc = |name: &str| format!("%NAME%\n{name}\n\n%VERSION%\n1-1\n\n%ARCH%\nany\n\n");
        let host = ["linux", "linux-lts", "bash"].iter().fold(Recorded::new(), |host, name| {
            host.file(&format!("/var/lib/pacman/local/{name}-1-1/desc"), desc(name))
        });
        let conf = "[options]\n#IgnorePkg = bash\nIgnorePkg = linux-l* none\nIgnorePkg=linux\n";
        assert_eq!(held(&host.file(PACMAN, conf)), ["linux-lts:any", "linux:any"]);
    }

    #[test]
    fn every_way_to_write_a_lock_of_dnf_is_understood() {
        for line in ["bash", "bash-0:5.1-2.*", "bash-5.1-2", "0:bash-5.1-2.x86_64", "bas?-5.1*", "bash.x86_64"] {
            assert_eq!(versionlock(line), Some(vec![line]));
            let package = Package {
                name: "bash".into(),
                version: "5.1-2".into(),
                architecture: "x86_64".into(),
                state: super::super::State::Installed,
                selection: Selection::Install,
                reinstall: false,
                source: None,
                manager: Manager::Rpm,
                others: Vec::new(),
            };
            let pattern: Pattern = line.parse().unwrap();
            assert!(forms(&package).iter().any(|form| pattern.matches(form)), "{line}");
        }
        assert_eq!(versionlock("!bash-0:5.1-2.*"), None);
        assert_eq!(toml_name("name = \"bash\""), Some(vec!["bash"]));
    }
}
