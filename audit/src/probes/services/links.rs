//! What the links of the load path make of a unit that has a file: enabled, linked, known by another name, or none of it. Source:
//! systemd.unit(5) and systemctl(1), `is-enabled`.

use std::ffi::OsStr;
use std::path::Path;

use super::enablement::Enablement;
use super::install::Install;
use super::names;
use super::tree::{CONFIGURED, File, Folder, Origin, Tree, Want};

/// How the unit called `name` is installed. `at` is the folder its file stands in, unless it is linked in from elsewhere.
pub(super) fn enablement(tree: &Tree<'_>, name: &str, install: &Install, at: Option<usize>) -> Enablement {
    let seen = |only_known| Links { name, install, only_known }.found(tree, at);
    seen(true).unwrap_or_else(|| match seen(false) {
        Some(_) => Enablement::Indirect,
        None if install.has_rules() => Enablement::Disabled,
        None if install.also => Enablement::Indirect,
        None => Enablement::Static,
    })
}

/// Whether what stands in `folder` is gone with the next boot.
pub(super) fn is_runtime(folder: &Folder) -> bool {
    match folder.origin {
        Origin::Runtime | Origin::Generated => true,
        Origin::Persistent | Origin::Installed => false,
    }
}

/// Looks for links to one unit.
struct Links<'a> {
    name: &'a str,
    install: &'a Install,
    /// Only links count by the names that enabling the unit would give them.
    only_known: bool,
}

impl Links<'_> {
    fn found(&self, tree: &Tree<'_>, at: Option<usize>) -> Option<Enablement> {
        let (mut runtime, mut at_all) = (false, false);
        let (mut linked, mut linked_runtime) = (false, false);
        for (number, folder) in tree.folders.iter().enumerate() {
            // A link of the unit's own name below its file is hidden by it.
            let hidden = at.is_some_and(|at| number > at);
            let wanted = folder.wants.iter().any(|want| self.is_wanted(want));
            if wanted || folder.units.iter().any(|(link, file)| self.is_another_name(link, file, hidden)) {
                if folder.path == CONFIGURED {
                    return Some(Enablement::Enabled);
                }
                if is_runtime(folder) { runtime = true } else { at_all = true }
            } else if !hidden && self.is_itself(folder) {
                linked |= folder.path == CONFIGURED;
                linked_runtime |= is_runtime(folder);
            }
        }
        match () {
            () if runtime => Some(Enablement::EnabledRuntime),
            // An instance that an installed folder asks for; a plain unit is merely wanted by its package.
            () if at_all && names::is_instance(self.name) => Some(Enablement::Static),
            () if linked => Some(Enablement::Linked),
            () if linked_runtime => Some(Enablement::LinkedRuntime),
            () => None,
        }
    }

    /// Where a link of `X.wants` leads does not matter: its name says what is wanted.
    fn is_wanted(&self, want: &Want) -> bool {
        let names_it = want.link == self.name || want.template.as_deref() == Some(self.name);
        want.listed && names_it && self.counts(&want.link)
    }

    fn is_another_name(&self, link: &str, file: &File, hidden: bool) -> bool {
        let File::Link(target) = file else { return false };
        let (by_name, by_target) = (!hidden && link == self.name, self.is_last_of(target));
        (by_name != by_target) && self.counts(link)
    }

    /// Whether the folder links the unit in by its own name.
    fn is_itself(&self, folder: &Folder) -> bool {
        matches!(folder.units.get(self.name), Some(File::Link(target)) if self.is_last_of(target))
    }

    fn is_last_of(&self, target: &Path) -> bool {
        target.file_name() == Some(OsStr::new(self.name))
    }

    fn counts(&self, link: &str) -> bool {
        let default = || {
            let instance = self.install.default_instance.as_deref()?;
            names::is_template(self.name).then(|| names::instance_of(self.name, instance)).flatten()
        };
        !self.only_known
            || link == self.name
            || self.install.aliases.iter().any(|alias| alias == link)
            || default().as_deref() == Some(link)
    }
}
