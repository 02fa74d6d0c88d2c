//! Who a list is from: the head of an `InRelease` or `Release` file.

/// What a repository says of itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Release {
    /// `Origin`: `Debian`.
    pub origin: String,
    /// `Label`: `Debian-Security`.
    pub label: String,
    /// `Suite`, which pins call the archive: `stable-security`.
    pub suite: String,
    /// `Codename`: `bookworm-security`.
    pub codename: String,
    /// `Version`: `12`.
    pub version: String,
    /// `NotAutomatic`: nothing is taken from it unless asked for.
    pub not_automatic: bool,
    /// `ButAutomaticUpgrades`: but what was taken is kept up to date.
    pub but_automatic_upgrades: bool,
}

/// The longest value kept, in bytes.
const MAX_VALUE: usize = 200;

impl Release {
    /// Reads the head of a release file; what follows the fields is not looked at.
    pub fn parse(text: &str) -> Self {
        let mut release = Self::default();
        for line in text.lines() {
            let Some((field, value)) = line.split_once(':') else { continue };
            let value: String = value.trim().chars().filter(|c| !c.is_control()).take(MAX_VALUE).collect();
            match field {
                "Origin" => release.origin = value,
                "Label" => release.label = value,
                "Suite" => release.suite = value,
                "Codename" => release.codename = value,
                "Version" => release.version = value,
                "NotAutomatic" => release.not_automatic = value == "yes",
                "ButAutomaticUpgrades" => release.but_automatic_upgrades = value == "yes",
                "MD5Sum" | "SHA1" | "SHA256" => break,
                _ => {}
            }
        }
        release
    }

    /// Whether it carries security updates: by the names the distributions give those suites.
    pub fn is_security(&self) -> bool {
        let ends = |text: &str| text.ends_with("-security") || text.ends_with("/updates");
        ends(&self.suite) || ends(&self.codename) || self.label.ends_with("-Security")
    }

    /// `origin/label/codename`, or what there is of them.
    pub fn name(&self) -> String {
        let place = if self.codename.is_empty() { &self.suite } else { &self.codename };
        let parts: Vec<&str> = [&self.origin, &self.label, place].map(String::as_str).into();
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_says_who_it_is() {
        let release = Release::parse(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: Debian\nLabel: Debian-Security\nSuite: oldstable-security\n\
             Codename: bookworm-security\nSHA256:\n Suite: no\nLabel: no\n",
        );
        assert_eq!(release.name(), "Debian/Debian-Security/bookworm-security");
        assert!(release.is_security() && !release.not_automatic);
        let backports = Release::parse("Suite: x-backports\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n");
        assert!(!backports.is_security() && backports.not_automatic && backports.but_automatic_upgrades);
    }
}
