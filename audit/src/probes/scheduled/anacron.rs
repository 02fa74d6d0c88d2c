//! `/etc/anacrontab`. Source: anacrontab(5).

use std::path::Path;

use super::Job;
use super::files::{Found, digest, program, text};
use crate::host::Gap;

const FILE: &str = "/etc/anacrontab";

/// period, delay, job, command; or an assignment.
pub(super) fn collect(found: &mut Found<'_>) {
    let Some(bytes) = found.read(Path::new(FILE), "anacron:") else { return };
    found.check_safe(Path::new(FILE));
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = text(line);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or("");
        let is_period = first.starts_with('@') || first.bytes().all(|byte| byte.is_ascii_digit());
        if !is_period && line.contains('=') {
            continue;
        }
        let mut rest = line;
        let mut word = || {
            let (word, after) = rest.split_once([' ', '\t'])?;
            rest = after.trim_start();
            Some(word)
        };
        let (period, delay, name) = (word(), word(), word());
        match (period.filter(|_| is_period), delay, name, rest) {
            (Some(period), Some(delay), Some(name), command) if !command.is_empty() => {
                let when = match period.starts_with('@') {
                    true => format!("{period}, after {delay} minutes"),
                    false => format!("every {period} days, after {delay} minutes"),
                };
                let job = Job {
                    user: "root".into(),
                    when,
                    program: program(command),
                    digest: Some(digest(command)),
                    ignored: None,
                };
                found.job(format!("anacron:{name}"), job);
            }
            _ => found.hide("anacron:", Gap::malformed(FILE, format!("line {} is not understood", number + 1))),
        }
    }
}
