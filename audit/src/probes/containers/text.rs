//! Names and values as they are kept: short, and without control characters; and JSON, read with care.

use std::path::Path;

use serde_json::Value;

use crate::host::{Entry, EntryKind, Gap, GapKind, Host, gap, path_text, read_small};

/// The longest value, in characters.
const LONGEST: usize = 256;
/// The most containers, or images, of one engine.
pub(super) const MOST: usize = 1000;

pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// The JSON document at `path`; `None` where there is none.
pub(super) fn json(host: &dyn Host, path: &Path) -> Result<Option<Value>, Gap> {
    let Some(bytes) = gap::optional(read_small(host, path))? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|_| Gap::malformed(path_text(path), "not JSON"))
}

/// The entries of the folder, none where it is not there.
pub(super) fn entries(host: &dyn Host, path: &str) -> Result<Vec<Entry>, Gap> {
    let entries = gap::optional(host.list(Path::new(path)))?.unwrap_or_default();
    match entries.len() > MOST {
        true => Err(Gap::new(GapKind::TooLarge, path, format!("more than {MOST} entries"))),
        false => Ok(entries),
    }
}

/// The names of the folders in a folder.
pub(super) fn folders(host: &dyn Host, path: &str) -> Result<Vec<String>, Gap> {
    let entries = entries(host, path)?;
    let folders = entries.iter().filter(|entry| entry.kind == EntryKind::Directory);
    Ok(folders.filter_map(|entry| entry.name.to_str().map(str::to_owned)).collect())
}

/// The words at `key`, if it is a list of them.
pub(super) fn words<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The word at `key`.
pub(super) fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The day of an RFC 3339 instant.
pub(super) fn day(instant: &str) -> Option<String> {
    let day = instant.get(..10)?;
    chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").ok().map(|_| day.to_owned())
}
