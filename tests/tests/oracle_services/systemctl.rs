//! The systemctl of a Debian release, which sees a tree's folders in place of its own: without `--root`, whose answers about units
//! under `/run` differ from those on a running host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::processes::{Ran, run};
use plumbline_tests::root;

pub struct Systemctl {
    suite: &'static str,
    root: PathBuf,
}

/// What it says of units.
pub struct States {
    /// By `list-unit-files`.
    pub listed: BTreeMap<String, String>,
    /// By `is-enabled`, of what is not listed; empty where it answers with an error.
    pub asked: BTreeMap<String, String>,
}

/// Puts the folders of the tree `$2` in place of those of the root `$1`, in a mount namespace of its own, and runs the script `$3`
/// there.
const INSIDE: &str = r#"
set -eu
root=$1 tree=$2 script=$3
shift 3
for folder in run opt usr/local/lib etc/systemd usr/lib/systemd/system; do
  mount --bind "$tree/$folder" "$root/$folder"
done
mount --bind /dev "$root/dev"
exec chroot "$root" env SYSTEMD_OFFLINE=1 LANG=C.UTF-8 sh -c "$script" sh "$@"
"#;

const ASK: &str = r#"
listed=$(systemctl list-unit-files --no-legend --no-pager --full)
printf '%s\nasked:\n' "$listed"
for name; do
  printf '%s\n' "$listed" | grep -q "^$name " || echo "$name $(systemctl is-enabled -- "$name" 2>/dev/null)"
done
"#;

const CHANGE: &str = r#"for verb; do systemctl $verb; done; true"#;

impl Systemctl {
    pub fn of(suite: &'static str) -> Self {
        Self { suite, root: root::debian(suite) }
    }

    pub fn name(&self) -> &str {
        self.suite
    }

    pub fn states(&self, tree: &Path, names: &[&str]) -> States {
        let said = self.inside(tree, ASK, names).ok().stdout;
        let (listed, asked) = said.split_once("asked:\n").unwrap();
        let row = |line: &str| {
            let mut words = line.split_whitespace();
            let name = words.next()?.to_owned();
            // A newer systemctl has a word for what is not there.
            let state = words.next().filter(|state| *state != "not-found").unwrap_or_default();
            Some((name, state.to_owned()))
        };
        let (listed, asked) = (listed.lines().filter_map(row).collect(), asked.lines().filter_map(row).collect());
        States { listed, asked }
    }

    /// Lets it change the tree; a verb it refuses changes nothing.
    pub fn change(&self, tree: &Path, verbs: &[String]) -> Ran {
        let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
        self.inside(tree, CHANGE, &verbs).ok()
    }

    fn inside(&self, tree: &Path, script: &str, words: &[&str]) -> Ran {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", INSIDE, "inside"]);
        run(command.arg(&self.root).arg(tree).arg(script).args(words))
    }
}
