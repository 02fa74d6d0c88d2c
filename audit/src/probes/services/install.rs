//! The `[Install]` section of a unit file: what enabling it would do. Source: systemd.unit(5), "[INSTALL] SECTION OPTIONS".

use super::names;

/// What `systemctl enable` would do, as far as it decides what is enabled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Install {
    /// `Alias=`: other names it would get.
    pub(super) aliases: Vec<String>,
    /// The key of each `WantedBy=`, `RequiredBy=` and `UpheldBy=` that stands.
    wanted: Vec<String>,
    /// Whether there is an `Also=`.
    pub(super) also: bool,
    /// `DefaultInstance=` of a template.
    pub(super) default_instance: Option<String>,
}

/// Lines longer than this are systemd's `LONG_LINE_MAX`: it reads no further.
const LONGEST_LINE: usize = 1 << 20;

impl Install {
    /// Takes what `text` adds for the unit called `name`: its file or one of its drop-ins. `false` where systemctl gives up on it:
    /// text that is not UTF-8, a section's name that is not closed, an `Also=` that names no unit.
    #[must_use]
    pub(super) fn take(&mut self, name: &str, text: &[u8]) -> bool {
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        if !lines.all(is_sound) {
            return false;
        }
        for (section, key, value) in settings(&String::from_utf8_lossy(text)) {
            if section != "Install" {
                continue;
            }
            let words = || value.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned());
            match key {
                "Alias" if value.is_empty() && names::may_alias(name) => self.aliases.clear(),
                "Alias" if names::may_alias(name) => self.aliases.extend(words()),
                // Each of the three is a list of its own that an empty one empties.
                "WantedBy" | "RequiredBy" | "UpheldBy" if value.is_empty() => self.wanted.retain(|by| by != key),
                "WantedBy" | "RequiredBy" | "UpheldBy" => self.wanted.push(key.to_owned()),
                // A specifier (%p) is filled in first; it cannot be told here, and is as good as always right.
                "Also" if words().any(|also| !also.contains('%') && !names::is_valid(&also)) => return false,
                "Also" => self.also |= !value.is_empty(),
                "DefaultInstance" if names::is_template(name) => {
                    self.default_instance = Some(value).filter(|value| !value.is_empty());
                }
                _ => {}
            }
        }
        true
    }

    /// Whether enabling it would make a link.
    pub(super) fn has_rules(&self) -> bool {
        !self.wanted.is_empty() || !self.aliases.is_empty()
    }
}

/// Whether systemd reads past a line. What a comment says does not matter.
fn is_sound(line: &[u8]) -> bool {
    line.starts_with(b"#")
        || line.starts_with(b";")
        || (line.len() < LONGEST_LINE
            && (!line.starts_with(b"[") || line.ends_with(b"]"))
            && std::str::from_utf8(line).is_ok())
}

/// Each assignment of a file in systemd's syntax (systemd.syntax(7)), with its section; lines that end in `\` are joined.
pub(in crate::probes) fn settings(text: &str) -> impl Iterator<Item = (&str, &str, String)> {
    let mut section = "";
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let mut value = value.trim().to_owned();
            while value.ends_with('\\') {
                value.pop();
                // A comment between continued lines is left out of them.
                let Some(next) = lines.by_ref().map(str::trim).find(|next| !next.starts_with(['#', ';'])) else {
                    break;
                };
                value.push(' ');
                value.push_str(next);
            }
            return Some((section, key.trim(), value.trim().to_owned()));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_install_section_counts_and_lines_are_joined() {
        let mut install = Install::default();
        let text = "[Unit]\nAlias=no.service\n[Install]\n# WantedBy=x\nAlias=a.service \\\n; no\n \"b.service\"\n";
        assert!(install.take("x.service", text.as_bytes()));
        assert_eq!(install.aliases, ["a.service", "b.service"]);
        assert!(install.has_rules() && install.wanted.is_empty() && !install.also);
        assert!(
            install.take("x@.service", b"[Install]\nWantedBy=a.target\nAlso=c.socket\nDefaultInstance=tty1\nAlias=\n")
        );
        assert!(install.has_rules() && install.also && install.aliases.is_empty());
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
        assert!(install.take("x@.service", b"\xef\xbb\xbf[Install]\nWantedBy=\n"));
        assert!(!install.has_rules());
    }

    #[test]
    fn what_systemctl_gives_up_on_is_told() {
        for text in [&b"[Install\nAlias=a.service\n"[..], b"[Service]\nExecStart=\xff\n", b"[Install]\nAlso=a\n"] {
            assert!(!Install::default().take("x.service", text), "{}", text.escape_ascii());
        }
        assert!(Install::default().take("x.service", b"[Install]\n# caf\xe9\nAlso=%p.socket\n"));
    }

    #[test]
    fn what_a_kind_cannot_have_is_passed_over() {
        let mut install = Install::default();
        assert!(install.take("x.mount", b"[Install]\nAlias=y.mount\nDefaultInstance=z\n"));
        assert_eq!(install, Install::default());
    }

    #[test]
    fn a_file_cut_off_in_a_continued_line_ends_there() {
        assert_eq!(settings("[A]\nB=c\\").collect::<Vec<_>>(), [("A", "B", "c".to_owned())]);
    }
}
