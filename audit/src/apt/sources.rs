//! Which repositories are enabled, and under which names apt keeps their lists.
//!
//! Source: sources.list(5), and apt's `URItoFileName` for the names: without scheme and password, a slash becomes an underscore and
//! what is not plain is written `%xx`.

use crate::host::{Gap, Host, gap::optional, read_text};

/// One repository: a suite at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The host part of the address.
    pub site: String,
    /// What the names of its lists begin with: `deb.debian.org_debian_dists_bookworm_`.
    pub prefix: String,
    /// Its components; none for a repository without suites.
    pub components: Vec<String>,
}

impl Source {
    /// The component of the list called `name`, if it is one of this repository's (`main`; empty without suites).
    pub fn component<'a>(&'a self, name: &str) -> Option<&'a str> {
        let rest = name.strip_prefix(&self.prefix)?;
        if self.components.is_empty() {
            return rest.starts_with("Packages").then_some("");
        }
        let component = |component: &&String| {
            let quoted = quote(component);
            let rest = rest.strip_prefix(&quoted).and_then(|rest| rest.strip_prefix("_binary-"));
            rest.is_some_and(|rest| rest.contains("_Packages"))
        };
        self.components.iter().find(component).map(String::as_str)
    }
}

/// Every enabled repository of binary packages.
pub fn read(host: &dyn Host) -> Result<Vec<Source>, Gap> {
    let mut sources = Vec::new();
    if let Some(text) = optional(read_text(host, "/etc/apt/sources.list"))? {
        lines(&text, &mut sources);
    }
    for path in super::parts(host, "/etc/apt/sources.list.d", &["list", "sources"], false)? {
        let text = read_text(host, &path)?;
        if path.ends_with(".sources") { stanzas(&text, &mut sources) } else { lines(&text, &mut sources) }
    }
    Ok(sources)
}

/// `deb [options] address suite component…`.
fn lines(text: &str, sources: &mut Vec<Source>) {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        let Some(rest) = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])) else { continue };
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else { continue };
        add(uri, suite, words.map(str::to_owned).collect(), sources);
    }
}

/// The same as fields: `Types`, `URIs`, `Suites`, `Components`, `Enabled`.
fn stanzas(text: &str, sources: &mut Vec<Source>) {
    for stanza in text.split("\n\n") {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in stanza.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((field, value)) = line.split_once(':') {
                fields.push((field.trim().to_lowercase(), value.trim().to_owned()));
            }
        }
        let words = |field: &str| -> Vec<String> {
            let value = fields.iter().find(|(own, _)| own == field).map_or("", |(_, value)| value.as_str());
            value.split_whitespace().map(str::to_owned).collect()
        };
        let off = words("enabled").first().is_some_and(|word| ["no", "false", "0", "off"].contains(&word.as_str()));
        if off || !words("types").iter().any(|kind| kind == "deb") {
            continue;
        }
        for uri in words("uris") {
            for suite in words("suites") {
                add(&uri, &suite, words("components"), sources);
            }
        }
    }
}

fn add(uri: &str, suite: &str, components: Vec<String>, sources: &mut Vec<Source>) {
    let place =
        uri.split_once("://").map_or_else(|| uri.split_once(':').map_or(uri, |(_, path)| path), |(_, place)| place);
    let place = match place.split_once('/') {
        Some((authority, path)) => {
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{host}/{path}")
        }
        None => place.to_owned(),
    };
    let site = place.split('/').next().unwrap_or("").to_owned();
    let place = if place.ends_with('/') { place } else { place + "/" };
    let flat = suite.ends_with('/');
    let address = match (flat, suite) {
        (true, "/") => place,
        (true, suite) => format!("{place}{suite}"),
        (false, suite) => format!("{place}dists/{suite}/"),
    };
    sources.push(Source { site, prefix: quote(&address), components: if flat { Vec::new() } else { components } });
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' => quoted.push('_'),
            byte if byte.is_ascii_graphic() && !b"\\|{}[]<>\"^~_=!@#$%&*".contains(&byte) => {
                quoted.push(char::from(byte))
            }
            byte => quoted.push_str(&format!("%{byte:02x}")),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    #[test]
    fn both_forms_name_the_lists_apt_keeps() {
        let host = Recorded::new()
            .file(
                "/etc/apt/sources.list",
                "# deb http://no/ x main\ndeb [arch=amd64 trusted=yes] http://me:secret@deb.example.org/debian_x bookworm/updates main non-free # why\n\
                 deb file:/srv/repo ./\ndeb-src http://no y main\n",
            )
            .file(
                "/etc/apt/sources.list.d/a.sources",
                "Types: deb deb-src\nURIs: http://deb.example.org/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n\n\
                 Enabled: no\nTypes: deb\nURIs: http://no\nSuites: z\nComponents: main\n",
            )
            .file("/etc/apt/sources.list.d/b.list.save", "deb http://no w main\n");
        let sources = read(&host).unwrap();
        let prefixes: Vec<&str> = sources.iter().map(|source| source.prefix.as_str()).collect();
        let expected = [
            "deb.example.org_debian%5fx_dists_bookworm_updates_",
            "_srv_repo_._",
            "deb.example.org_debian_dists_bookworm_",
            "deb.example.org_debian_dists_bookworm-updates_",
        ];
        assert_eq!(prefixes, expected);
        let name = "deb.example.org_debian_dists_bookworm_main_binary-amd64_Packages.lz4";
        assert_eq!(sources[2].component(name), Some("main"));
        assert_eq!(sources[3].component(name), None);
        assert_eq!(sources[1].component("_srv_repo_._Packages"), Some(""));
    }
}
