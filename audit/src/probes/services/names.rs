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

/// The template of an instance: `getty@.service` of `getty@tty1.service`.
pub(super) fn template(name: &str) -> Option<String> {
    let (stem, end) = name.rsplit_once('.')?;
    let (prefix, instance) = stem.split_once('@')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{end}"))
}

/// Whether `name` is a template: nothing between `@` and the last dot.
pub(in crate::probes) fn is_template(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, _)| stem.split_once('@').is_some_and(|(_, instance)| instance.is_empty()))
}

/// Whether `name` is an instance of a template.
pub(super) fn is_instance(name: &str) -> bool {
    template(name).is_some()
}

/// The instance of `template` that is called as `name` is: of `autovt@tty1.service` and `getty@.service`, `getty@tty1.service`.
pub(super) fn instance_like(name: &str, template: &str) -> Option<String> {
    let (stem, _) = name.rsplit_once('.')?;
    let (_, instance) = stem.split_once('@')?;
    instance_of(template, instance)
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
}
