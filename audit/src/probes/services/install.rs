//! The `[Install]` section of a unit file: what enabling it would do. Source: systemd.unit(5), "[INSTALL] SECTION OPTIONS".

/// What `systemctl enable` would do, as far as it decides what is enabled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Install {
    /// `Alias=`: other names it would get.
    pub(super) aliases: Vec<String>,
    /// Whether there is a `WantedBy=`, `RequiredBy=` or `UpheldBy=`.
    pub(super) wanted: bool,
    /// Whether there is an `Also=`.
    pub(super) also: bool,
    /// `DefaultInstance=` of a template.
    pub(super) default_instance: Option<String>,
}

impl Install {
    /// Takes what `text` adds: the unit file first, then its drop-ins.
    pub(super) fn take(&mut self, text: &str) {
        for (section, key, value) in settings(text) {
            if section != "Install" {
                continue;
            }
            match key {
                "Alias" => self.aliases.extend(value.split_whitespace().map(str::to_owned)),
                "WantedBy" | "RequiredBy" | "UpheldBy" => self.wanted |= !value.is_empty(),
                "Also" => self.also |= !value.is_empty(),
                "DefaultInstance" => self.default_instance = Some(value).filter(|value| !value.is_empty()),
                _ => {}
            }
        }
    }

    /// Whether enabling it would make a link.
    pub(super) fn has_rules(&self) -> bool {
        self.wanted || !self.aliases.is_empty()
    }
}

/// Each assignment of a file in systemd's syntax (systemd.syntax(7)), with its section; lines that end in `\` are joined.
pub(in crate::probes) fn settings(text: &str) -> impl Iterator<Item = (&str, &str, String)> {
    let mut section = "";
    let mut lines = text.lines();
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
        install.take("[Unit]\nAlias=no.service\n[Install]\n# WantedBy=x\nAlias=a.service \\\n; no\n b.service\n");
        assert_eq!(install.aliases, ["a.service", "b.service"]);
        assert!(install.has_rules() && !install.wanted && !install.also);
        install.take("[Install]\nWantedBy=multi-user.target\nAlso=c.socket\nDefaultInstance=tty1\n");
        assert!(install.wanted && install.also);
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
    }

    #[test]
    fn a_file_cut_off_in_a_continued_line_ends_there() {
        assert_eq!(settings("[A]\nB=c\\").collect::<Vec<_>>(), [("A", "B", "c".to_owned())]);
    }
}
