//! Which priorities somebody gave to packages and repositories.
//!
//! Source: apt_preferences(5). Pins by release, origin (a site) and version are understood, for all packages (`*`), for names
//! and for globs of names. What goes further (regular expressions, source packages) is said, not guessed.

use super::lists::List;
use crate::change::Pattern;
use crate::host::{Gap, Host, gap::optional, read_text};

/// What a pin is about.
#[derive(Debug)]
enum About {
    /// `version 5.36*`.
    Version(Pattern),
    /// `release a=stable,l=Debian`: each must hold.
    Release(Vec<(String, Pattern)>),
    /// `origin "deb.example.org"`.
    Site(Pattern),
}

/// One pin.
#[derive(Debug)]
pub struct Pin {
    /// Which packages; none for all.
    packages: Option<Vec<Pattern>>,
    about: About,
    priority: i32,
}

/// All pins, in apt's order.
#[derive(Debug, Default)]
pub struct Pins {
    pins: Vec<Pin>,
    /// The first that is not understood.
    pub unknown: Option<Gap>,
}

impl Pins {
    /// Those of `/etc/apt/preferences` and `preferences.d`, after the default release of the configuration.
    pub fn read(host: &dyn Host, default_release: Option<&str>) -> Result<Self, Gap> {
        let mut pins = Self::default();
        if let Some(release) = default_release.filter(|release| !release.is_empty()) {
            // It may be a suite, a codename or a version; each is tried.
            for key in ["a", "n", "v"] {
                if let Ok(pattern) = release.parse() {
                    let about = About::Release(vec![(key.to_owned(), pattern)]);
                    pins.pins.push(Pin { packages: None, about, priority: 990 });
                }
            }
        }
        if let Some(text) = optional(read_text(host, "/etc/apt/preferences"))? {
            pins.add("/etc/apt/preferences", &text);
        }
        for path in super::parts(host, "/etc/apt/preferences.d", &["pref"], true)? {
            let text = read_text(host, &path)?;
            pins.add(&path, &text);
        }
        Ok(pins)
    }

    fn add(&mut self, path: &str, text: &str) {
        let plain: String = text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
        for stanza in plain.split("\n\n") {
            let value = |name: &str| {
                let mut lines = stanza.lines().filter_map(|line| line.split_once(':'));
                lines.find(|(field, _)| field.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
            };
            if stanza.trim().is_empty() || value("Explanation").is_some() && value("Package").is_none() {
                continue;
            }
            let pin = pin(value("Package"), value("Pin"), value("Pin-Priority"));
            match pin {
                Some(pin) => self.pins.push(pin),
                None => {
                    self.unknown =
                        self.unknown.take().or_else(|| Some(Gap::malformed(path, "a pin that is not understood")))
                }
            }
        }
    }

    /// The priority of a list as a whole.
    pub fn of_list(&self, list: &List) -> i32 {
        let general = self.pins.iter().filter(|pin| pin.packages.is_none());
        let mut matching = general.filter(|pin| pin.about.is_list(list));
        let default = match (list.release.not_automatic, list.release.but_automatic_upgrades) {
            (true, false) => 1,
            (true, true) => 100,
            (false, _) => 500,
        };
        matching.next().map_or(default, |pin| pin.priority)
    }

    /// The priority of a version of a package offered by `lists`, where a pin is about it in particular.
    pub fn of_version(&self, package: &str, version: &str, lists: &[&List]) -> Option<i32> {
        let named =
            |pin: &&Pin| pin.packages.as_ref().is_some_and(|names| names.iter().any(|name| name.matches(package)));
        let about = |pin: &&Pin| match &pin.about {
            About::Version(pattern) => pattern.matches(version),
            About::Release(_) | About::Site(_) => lists.iter().any(|list| pin.about.is_list(list)),
        };
        self.pins.iter().filter(named).find(about).map(|pin| pin.priority)
    }
}

impl About {
    fn is_list(&self, list: &List) -> bool {
        let release = &list.release;
        match self {
            Self::Version(_) => false,
            Self::Site(site) => site.matches(&list.site),
            Self::Release(wanted) => wanted.iter().all(|(key, pattern)| match key.as_str() {
                "a" => pattern.matches(&release.suite),
                "n" => pattern.matches(&release.codename),
                "o" => pattern.matches(&release.origin),
                "l" => pattern.matches(&release.label),
                "v" => pattern.matches(&release.version),
                "c" => pattern.matches(&list.component),
                _ => false,
            }),
        }
    }
}

fn pin(packages: Option<&str>, about: Option<&str>, priority: Option<&str>) -> Option<Pin> {
    let (packages, about) = (packages?, about?);
    let pattern = |text: &str| -> Option<Pattern> { text.trim_matches('"').parse().ok() };
    let packages = match packages {
        "*" => None,
        names => {
            let names = names.split_whitespace().map(|name| {
                let odd = name.starts_with('/') || name.starts_with("src:") || name.contains(':');
                if odd { None } else { pattern(name) }
            });
            Some(names.collect::<Option<Vec<_>>>()?)
        }
    };
    let (kind, value) = about.split_once(' ').map(|(kind, value)| (kind, value.trim()))?;
    if value.contains('/') && value.starts_with('/') {
        return None;
    }
    let about = match kind {
        "version" => About::Version(pattern(value)?),
        "origin" => About::Site(pattern(value)?),
        "release" => {
            let parts = value.split(',').map(|part| match part.trim().split_once('=') {
                Some((key, value)) if "anolvc".contains(key) && key.len() == 1 => {
                    Some((key.to_owned(), pattern(value)?))
                }
                Some(_) | None => None,
            });
            About::Release(parts.collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    };
    Some(Pin { packages, about, priority: priority?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::release::Release;
    use crate::host::Recorded;

    fn list(suite: &str, not_automatic: bool) -> List {
        let release = Release { suite: suite.into(), codename: "c".into(), not_automatic, ..Release::default() };
        List { path: String::new(), release, site: "deb.example.org".into(), component: "main".into() }
    }

    #[test]
    fn the_first_pin_that_matches_counts() {
        let text = "Explanation: why\nPackage: *\nPin: release a=testing\nPin-Priority: -10\n\nPackage: *\nPin: origin \"deb.example.org\"\nPin-Priority: 700\n\n\
                    Package: perl python3*\nPin: version 5.36*\nPin-Priority: 1001\n";
        let pins = Pins::read(&Recorded::new().file("/etc/apt/preferences", text), Some("stable")).unwrap();
        assert_eq!(pins.unknown, None);
        assert_eq!(pins.of_list(&list("testing", false)), -10);
        assert_eq!(pins.of_list(&list("stable", true)), 990);
        assert_eq!(pins.of_list(&list("other", true)), 700);
        assert_eq!(pins.of_version("python3-x", "5.36.0-1", &[]), Some(1001));
        assert_eq!(pins.of_version("perl", "5.37", &[]), None);
        let bare = Pins::default();
        assert_eq!((bare.of_list(&list("x", true)), bare.of_list(&list("x", false))), (1, 500));
    }

    #[test]
    fn what_goes_further_is_said() {
        for text in [
            "Package: /x/\nPin: version 1\nPin-Priority: 1\n",
            "Package: src:x\nPin: release a=b\nPin-Priority: 1\n",
            "x",
        ] {
            let pins = Pins::read(&Recorded::new().file("/etc/apt/preferences.d/x", text), None).unwrap();
            assert!(pins.unknown.is_some(), "{text}");
        }
    }
}
