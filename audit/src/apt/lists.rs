//! The lists of packages on offer, stanza by stanza: a list may be fifty megabytes, of which a window is held.

use std::path::Path;

use memchr::memmem::Finder;

use super::lz4::Lz4;
use super::release::Release;
use super::sources::Source;
use super::window::Window;
use crate::host::{Gap, GapKind, Host};

/// How much is read at once.
const READ: usize = 256 * 1024;
/// The longest stanza.
const MAX_STANZA: usize = 4 * 1024 * 1024;
/// How much of a release file is read: its fields stand before its sums.
const HEAD: usize = 16 * 1024;

/// One list on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its file's path.
    pub path: String,
    /// Whose it is.
    pub release: Release,
    /// The host it was fetched from.
    pub site: String,
    /// The component: `main`.
    pub component: String,
}

/// The lists of the enabled `sources`, in the order of their names.
pub fn find(host: &dyn Host, sources: &[Source]) -> Result<Vec<List>, Gap> {
    let mut lists = Vec::new();
    for entry in host.list(Path::new(super::LISTS))? {
        let Some(name) = entry.name.to_str() else { continue };
        let Some((stem, extension)) = name.rsplit_once("_Packages") else { continue };
        if !(extension.is_empty() || extension.starts_with('.')) || stem.is_empty() {
            continue;
        }
        let Some((source, component)) = sources.iter().find_map(|source| Some((source, source.component(name)?)))
        else {
            continue;
        };
        let release = release(host, &source.prefix)?;
        let (site, component) = (source.site.clone(), component.to_owned());
        lists.push(List { path: format!("{}/{name}", super::LISTS), release, site, component });
    }
    Ok(lists)
}

fn release(host: &dyn Host, prefix: &str) -> Result<Release, Gap> {
    for name in ["InRelease", "Release"] {
        match host.read_part(Path::new(&format!("{}/{prefix}{name}", super::LISTS)), 0, HEAD) {
            Ok(bytes) => return Ok(Release::parse(&String::from_utf8_lossy(&bytes))),
            Err(gap) if gap.is_missing() => {}
            Err(gap) => return Err(gap),
        }
    }
    // A repository that is trusted as it is needs none.
    Ok(Release::default())
}

/// Calls `each` with every stanza of the list at `path`.
pub fn stanzas(host: &dyn Host, path: &str, mut each: impl FnMut(&[u8])) -> Result<(), Gap> {
    let file = Path::new(path);
    let mut source = if path.ends_with("_Packages") {
        Form::Plain { offset: 0 }
    } else if path.ends_with(".lz4") {
        Form::Lz4(Lz4::open(host, file)?)
    } else {
        let detail = "compressed in a way that is not read; lists as they are, or lz4, are";
        return Err(Gap::new(GapKind::Unsupported, path, detail));
    };
    let end_of_stanza = Finder::new(b"\n\n");
    let mut window = Window::new(match &source {
        Form::Plain { .. } => READ,
        Form::Lz4(frame) => frame.longest(),
    });
    loop {
        let more = match &mut source {
            Form::Plain { offset } => {
                let part = host.read_part(file, *offset, READ)?;
                *offset += part.len() as u64;
                window.room(part.len()).1.copy_from_slice(&part);
                window.filled(part.len());
                !part.is_empty()
            }
            Form::Lz4(frame) => frame.next(&mut window)?,
        };
        let mut rest = window.rest();
        while let Some(length) = end_of_stanza.find(rest) {
            each(rest.get(..length).unwrap_or_default());
            rest = rest.get(length + 2..).unwrap_or_default();
        }
        if !more {
            if !rest.trim_ascii().is_empty() {
                each(rest);
            }
            return Ok(());
        }
        if rest.len() > MAX_STANZA {
            return Err(Gap::malformed(path, "holds an impossibly long stanza"));
        }
        let used = window.rest().len() - rest.len();
        window.used(used);
    }
}

enum Form<'h> {
    Plain { offset: u64 },
    Lz4(Lz4<'h>),
}

/// The value of `name` in a stanza, where it stands on one line.
pub fn field<'a>(stanza: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let mut rest = stanza;
    loop {
        if let Some(value) = rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(b":")) {
            let end = memchr::memchr(b'\n', value).unwrap_or(value.len());
            return std::str::from_utf8(value.get(..end)?).ok().map(str::trim);
        }
        let end = memchr::memchr(b'\n', rest)?;
        rest = rest.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    #[test]
    fn stanzas_come_whole_however_the_file_is_cut_into_parts() {
        let text: String = (0..9000)
            .map(|at| format!("Package: p{at}\nVersion: {at}\nDescription: {}\n\n", "x".repeat(at % 90)))
            .collect();
        let host = Recorded::new().file("/l_Packages", text.trim_end());
        let mut seen = 0;
        stanzas(&host, "/l_Packages", |stanza| {
            assert_eq!(field(stanza, b"Version"), Some(seen.to_string().as_str()));
            assert_eq!(field(stanza, b"Package").unwrap(), format!("p{seen}"));
            seen += 1;
        })
        .unwrap();
        assert_eq!(seen, 9000);
        assert!(stanzas(&host, "/l_Packages.xz", |_| ()).is_err_and(|gap| gap.kind == GapKind::Unsupported));
    }
}
