//! What apt knows, read from its own files: configuration, sources, pins, the lists of packages on offer, and which version of
//! each it would choose.
//!
//! Sources: apt.conf(5), sources.list(5), apt_preferences(5), and apt's `apt-pkg/policy.cc` for the choice. Nothing is run and
//! nothing is fetched. What is not understood is said (a pin by regular expression, a list compressed with xz): then what
//! depends on it is unknown.

pub mod config;
pub mod lists;
pub mod lz4;
pub mod pins;
pub mod policy;
pub mod release;
pub mod sources;
mod window;

/// The folder of lists.
pub const LISTS: &str = "/var/lib/apt/lists";

/// All paths apt's choice depends on.
pub const READS: [&str; 5] = [
    "/etc/apt/{apt.conf,sources.list,preferences}",
    "/etc/apt/{apt.conf.d,sources.list.d,preferences.d}",
    "/etc/apt/{apt.conf.d,sources.list.d,preferences.d}/*",
    "/var/lib/apt/lists",
    "/var/lib/apt/lists/*_{Packages,Packages.*,InRelease,Release}",
];

/// The files of a folder of configuration that apt reads, in its order: no extension or one of `extensions`.
pub(crate) fn parts(
    host: &dyn crate::host::Host,
    folder: &str,
    extensions: &[&str],
    bare: bool,
) -> Result<Vec<String>, crate::host::Gap> {
    let entries = match host.list(std::path::Path::new(folder)) {
        Ok(entries) => entries,
        Err(gap) if gap.is_missing() => return Ok(Vec::new()),
        Err(gap) => return Err(gap),
    };
    let names = entries.into_iter().filter_map(|entry| entry.name.into_string().ok());
    let readable = |name: &String| {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let extension = match name.rsplit_once('.') {
            Some((_, extension)) => extensions.contains(&extension),
            None => bare,
        };
        plain && extension && !name.starts_with('.')
    };
    Ok(names.filter(readable).map(|name| format!("{folder}/{name}")).collect())
}
