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
    // A line that ends in a backslash goes on in the next one.
    let tab = text(&bytes).replace("\\\n", "");
    for (number, line) in tab.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or("");
        let is_period = (first.starts_with('@') && first.len() > 1) || is_number(first);
        if !is_period && line.find('=').is_some_and(|place| place > 0) {
            continue;
        }
        let mut rest = line;
        let mut word = || {
            let (word, after) = rest.split_once([' ', '\t'])?;
            rest = after.trim_start();
            Some(word)
        };
        let (period, delay, name) = (word(), word(), word());
        let (delay, name) = (delay.filter(|delay| is_number(delay)), name.filter(|name| !name.contains('/')));
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

/// What anacron takes for a number: as many as fit its `int`.
fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit()) && word.parse::<i32>().is_ok()
}

#[cfg(test)]
mod tests {
    use crate::host::Recorded;
    use crate::probe::Probe as _;
    use crate::probes::scheduled::Scheduled;

    #[test]
    fn what_anacron_skips_is_a_gap_and_no_job() {
        let tab =
            "1 0 good true\n1 x late true\n1 0 a/b true\n99999999999 0 large true\n1 0 long true \\\n1 0 same true\n";
        let items = Scheduled::collect(&Recorded::new().file("/etc/anacrontab", tab)).items;
        let jobs: Vec<&str> = items.seen.keys().filter_map(|subject| subject.strip_prefix("anacron:")).collect();
        assert_eq!(jobs, ["good", "long"]);
        assert!(items.gap_for("anacron:").is_some());
    }
}
