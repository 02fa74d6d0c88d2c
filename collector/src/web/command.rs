//! The command line that would open a change record for a drift, safe to paste.
//!
//! Names come from hosts, so every argument is quoted for a POSIX shell and glob characters are escaped for the scope's
//! patterns. A name that holds characters one cannot see gets no command: what one pastes must be what one reads.

use audit::change::MAX_WINDOW;
use audit::drift::Interval;
use chrono::{DateTime, TimeDelta, Utc};

use crate::disguise::disguises;

/// The command for one item of one host; `None` where a name holds characters that cannot be seen.
pub fn change_new(host: &str, probe: &str, subject: &str, between: Interval) -> Option<String> {
    if [host, probe, subject].iter().any(|text| text.chars().any(disguises)) {
        return None;
    }
    let item = format!("{probe}/{}", literal(subject));
    let window = window(between);
    Some(format!(
        "plumbline-collector change new --class minor {} --item {} --from {} --until {} --title {} --reason {}",
        option("--host", &literal(host)),
        quoted(&item),
        instant(window.from),
        instant(window.to),
        quoted(&format!("{probe}/{subject} on {host}")),
        quoted("TO BE WRITTEN"),
    ))
}

/// The command by which somebody else than the requester approves a record.
pub fn change_approve(change: &str) -> String {
    format!("plumbline-collector change approve {}", quoted(change))
}

/// Spans the whole time in which it may have happened, as far as a record's window may last.
fn window(between: Interval) -> Interval {
    let to = between.to.max(between.from) + TimeDelta::minutes(1);
    Interval { from: between.from.max(to - MAX_WINDOW), to }
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A value that begins with a dash would be read as an option of its own.
fn option(name: &str, value: &str) -> String {
    let joint = if value.starts_with('-') { "=" } else { " " };
    format!("{name}{joint}{}", quoted(value))
}

/// Escapes what a pattern would read as a glob. After `=` the command line reads a value, and it knows no escape for
/// that: `?` covers the character, and any other in its place.
fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut done, c| {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            done.push('\\');
        }
        done.push(if c == '=' { '?' } else { c });
        done
    })
}

/// In single quotes; a bare word where that is plainly safe.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | ':' | '.' | '_' | '-' | '@');
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::change::ItemPattern;

    fn interval(from: i64, to: i64) -> Interval {
        let at = |second| DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
        Interval { from: at(from), to: at(to) }
    }

    #[test]
    fn it_names_host_item_and_the_whole_interval() {
        assert_eq!(
            change_new("web-1", "packages", "openssl:amd64", interval(0, 300)).unwrap(),
            "plumbline-collector change new --class minor --host web-1 --item packages/openssl:amd64 \
             --from 2027-01-15T08:00:00Z --until 2027-01-15T08:06:00Z --title 'packages/openssl:amd64 on web-1' \
             --reason 'TO BE WRITTEN'"
        );
    }

    #[test]
    fn a_hostile_name_stays_one_argument() {
        let command = change_new("a'; rm -rf ~ #", "packages", "$(id)`id`", interval(0, 1)).unwrap();
        assert!(command.contains(r"--host 'a'\''; rm -rf ~ #' --item 'packages/$(id)`id`' --from"), "{command}");
        assert!(change_new("-x", "packages", "y", interval(0, 1)).unwrap().contains("--host='-x' "));
    }

    #[test]
    fn glob_characters_cover_only_themselves() {
        let pattern: ItemPattern = format!("packages/{}", literal("a*[b]{c}\\")).parse().unwrap();
        assert!(pattern.matches("packages", "a*[b]{c}\\"));
        assert!(!pattern.matches("packages", "axb"));
        assert_eq!(literal("user=ALL"), "user?ALL", "a value would begin after `=`");
    }

    #[test]
    fn what_cannot_be_seen_is_not_pasted() {
        assert_eq!(change_new("web\u{202e}", "packages", "x", interval(0, 1)), None);
        assert_eq!(change_new("web\u{1b}", "packages", "x", interval(0, 1)), None);
    }

    #[test]
    fn a_long_silence_is_cut_to_the_longest_window() {
        let window = window(interval(0, 90 * 86_400));
        assert_eq!(window.to - window.from, MAX_WINDOW);
    }
}
