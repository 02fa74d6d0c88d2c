//! Names of units, as systemd.unit(5) forms them.

/// The kinds of units that have files.
const KINDS: [&str; 11] =
    ["service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope"];
/// `UNIT_NAME_MAX` of systemd.
const LONGEST: usize = 255;

/// What stands after the last dot of a unit's name, if it is one of the kinds.
pub(in crate::probes) fn kind(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    KINDS.iter().copied().find(|kind| *kind == end)
}

/// Whether systemd takes `name` for the name of a unit: plain, template or instance.
pub(in crate::probes) fn is_valid(name: &str) -> bool {
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    name.len() <= LONGEST
        && kind(name).is_some()
        && !stem.is_empty()
        && !stem.starts_with('@')
        && stem.bytes().all(plain)
}

/// Whether units of the kind of `name` may have other names by links (`unit_type_may_alias` of systemd).
pub(super) fn may_alias(name: &str) -> bool {
    kind(name).is_some_and(|kind| ["service", "socket", "target", "device", "timer", "path"].contains(&kind))
}

/// Whether there may be templates of the kind of `name` (`unit_type_may_template`).
pub(super) fn may_template(name: &str) -> bool {
    kind(name).is_some_and(|kind| ["service", "socket", "target", "timer", "path"].contains(&kind))
}

/// What stands between `@` and the last dot; empty for a template, `None` for a plain name.
fn instance(name: &str) -> Option<&str> {
    let (stem, _) = name.rsplit_once('.')?;
    Some(stem.split_once('@')?.1)
}

/// Whether systemd takes the link `link` for another name of `target`, both in the load path: of one kind that may have them,
/// both plain, both templates, or an instance of the same name or of a template. A link to its own name is none.
pub(super) fn is_alias(link: &str, target: &str) -> bool {
    let fits = match (instance(link), instance(target)) {
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some(_), Some(_)) if !may_template(link) => false,
        (Some(link), Some(target)) => link == target || target.is_empty(),
    };
    fits && link != target && may_alias(link) && is_valid(target) && kind(link) == kind(target)
}

/// The template of an instance: `getty@.service` of `getty@tty1.service`.
pub(super) fn template(name: &str) -> Option<String> {
    let (stem, end) = name.rsplit_once('.')?;
    let (prefix, instance) = stem.split_once('@')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{end}"))
}

/// Whether `name` is a template: nothing between `@` and the last dot.
pub(in crate::probes) fn is_template(name: &str) -> bool {
    instance(name).is_some_and(str::is_empty)
}

/// Whether `name` is an instance of a template.
pub(super) fn is_instance(name: &str) -> bool {
    template(name).is_some()
}

/// The instance of `template` that is called as `name` is: of `autovt@tty1.service` and `getty@.service`, `getty@tty1.service`.
pub(super) fn instance_like(name: &str, template: &str) -> Option<String> {
    instance_of(template, instance(name)?)
}

/// The instance of `template` called `instance`.
pub(super) fn instance_of(template: &str, instance: &str) -> Option<String> {
    let (stem, end) = template.rsplit_once('.')?;
    let (prefix, _) = stem.split_once('@')?;
    Some(format!("{prefix}@{instance}.{end}"))
}

/// What a person may leave out: `ssh` is `ssh.service`.
pub(in crate::probes) fn with_kind(name: &str) -> String {
    if kind(name).is_some() { name.to_owned() } else { format!("{name}.service") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_other_files() {
        for name in
            ["ssh.service", "getty@.service", "getty@tty1.service", "system-systemd\\x2dcryptsetup.slice", "a.b.timer"]
        {
            assert!(is_valid(name), "{name}");
        }
        for name in ["ssh", "ssh.conf", ".service", "@tty1.service", "a b.service", "é.service", "x.service.d"] {
            assert!(!is_valid(name), "{name}");
        }
    }

    #[test]
    fn an_instance_knows_its_template() {
        assert_eq!(template("getty@tty1.service").as_deref(), Some("getty@.service"));
        assert_eq!(template("getty@.service"), None);
        assert_eq!(template("ssh.service"), None);
        assert!(is_template("getty@.service") && !is_template("getty@tty1.service") && !is_template("ssh.service"));
        assert_eq!(instance_like("autovt@tty1.service", "getty@.service").as_deref(), Some("getty@tty1.service"));
    }

    #[test]
    fn an_alias_is_of_its_own_kind_and_form() {
        for (link, target) in [("a.service", "b.service"), ("a@.timer", "b@.timer"), ("a@x.service", "b@x.service")] {
            assert!(is_alias(link, target), "{link} {target}");
        }
        assert!(is_alias("a@x.service", "a@.service"));
        for (link, target) in [
            ("a.service", "a.service"),
            ("a.service", "b.socket"),
            ("a.mount", "b.mount"),
            ("a@.service", "b.service"),
            ("a@.service", "b@x.service"),
            ("a@x.service", "b@y.service"),
            ("a@x.device", "b@x.device"),
            ("a.service", "b.conf"),
        ] {
            assert!(!is_alias(link, target), "{link} {target}");
        }
    }
}
