//! The names of user and group numbers, as `/etc/passwd` and `/etc/group` give them; passwd(5), group(5).
//!
//! The first line of a number names it, as getpwuid(3) has it. Accounts of a directory service are not known here: they are told by
//! number. A file that cannot be read leaves numbers too, and a gap for whoever asks who has no account.

use std::collections::BTreeMap;
use std::path::Path;

use crate::host::{Gap, Host};

/// More lines than this are not looked at: large sites keep such numbers in a directory service.
const MAX_LINES: usize = 200_000;

/// Names by number.
pub(crate) struct Names(Result<BTreeMap<u32, String>, Gap>);

impl Names {
    /// Of users.
    pub(crate) fn users(host: &dyn Host) -> Self {
        Self::read(host, "/etc/passwd")
    }

    /// Of groups.
    pub(crate) fn groups(host: &dyn Host) -> Self {
        Self::read(host, "/etc/group")
    }

    /// In both files the name comes first and the number third.
    fn read(host: &dyn Host, path: &str) -> Self {
        Self(host.read(Path::new(path)).map(|bytes| {
            let mut names = BTreeMap::new();
            for line in bytes.split(|byte| *byte == b'\n').take(MAX_LINES) {
                let mut fields = line.split(|byte| *byte == b':');
                let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next()) else {
                    continue;
                };
                let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
                let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.starts_with('#'));
                if let (Some(number), Some(name)) = (number, name) {
                    names.entry(number).or_insert_with(|| name.to_owned());
                }
            }
            names
        }))
    }

    /// The name of `number`, or its digits.
    pub(crate) fn of(&self, number: u32) -> String {
        let name = self.0.as_ref().ok().and_then(|names| names.get(&number));
        name.cloned().unwrap_or_else(|| number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    #[test]
    fn the_first_name_of_a_number_counts_and_an_unknown_one_keeps_its_digits() {
        let host =
            Recorded::new().file("/etc/passwd", "root:x:0:0::/:\nbad\ntoor:x:0:0::/:\n\u{0}:x:one:\nava:x:1000:");
        let users = Names::users(&host);
        assert_eq!([users.of(0), users.of(1000), users.of(1)], ["root", "ava", "1"]);
        assert_eq!(Names::groups(&host).of(0), "0");
    }
}
