//! The time fields of a crontab's line. Sources: crontab(5) of Debian's cron and of cronie.

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Each field's least and greatest value, and its names with the value of the first.
const FIELDS: [(u32, u32, &[&str], u32); 5] =
    [(0, 59, &[], 0), (0, 23, &[], 0), (1, 31, &[], 0), (1, 12, &MONTHS, 1), (0, 7, &DAYS, 0)];
/// What may stand instead of five fields.
const NICKNAMES: [&str; 8] =
    ["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Splits the time off the beginning of a line: it normalised, and the rest. `None` where it is no time.
pub(super) fn take(line: &str) -> Option<(String, &str)> {
    if line.starts_with('@') {
        let (name, rest) = line.split_once([' ', '\t'])?;
        let known = NICKNAMES.iter().find(|known| **known == name)?;
        return Some(((*known).to_owned(), rest.trim_start()));
    }
    let mut rest = line;
    let mut fields = Vec::new();
    for (least, greatest, names, first) in FIELDS {
        let (field, after) = rest.split_once([' ', '\t'])?;
        if !is_field(field, least, greatest, names, first) {
            return None;
        }
        fields.push(field);
        rest = after.trim_start();
    }
    Some((fields.join(" "), rest))
}

/// cron takes a list of ranges and passes over whatever follows it up to the next blank, so `1.5` is 1 to it.
fn is_field(field: &str, least: u32, greatest: u32, names: &[&str], first: u32) -> bool {
    let mut rest = field;
    loop {
        let Some(after) = range(rest, least, greatest, names, first) else { return false };
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return true,
        }
    }
}

/// What follows a range at the beginning of `text`; `None` where there is none.
fn range<'a>(text: &'a str, least: u32, greatest: u32, names: &[&str], first: u32) -> Option<&'a str> {
    let number = |text: &'a str| -> Option<(u32, &'a str)> {
        let end = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (word, rest) = text.split_at_checked(end).filter(|(word, _)| (1..=9).contains(&word.len()))?;
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(word));
        let named = named.and_then(|place| Some(first + u32::try_from(place).ok()?));
        Some((named.or_else(|| word.parse().ok())?, rest))
    };
    let (from, to, rest) = match text.strip_prefix('*') {
        Some(rest) => (least, greatest, rest),
        None => {
            let (from, rest) = number(text)?;
            match rest.strip_prefix('-') {
                Some(rest) => {
                    let (to, rest) = number(rest)?;
                    (from, to, rest)
                }
                // A step needs a range.
                None if rest.starts_with('/') => return None,
                None => (from, from, rest),
            }
        }
    };
    // A range that ends before it begins is empty, and cron takes it.
    if from < least || from > greatest || to > greatest {
        return None;
    }
    match rest.strip_prefix('/') {
        Some(step) => number(step).filter(|(step, _)| *step > 0).map(|(_, rest)| rest),
        None => Some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_normalised_and_the_rest_left_as_it_is() {
        let taken = |line| take(line).map(|(when, rest)| format!("{when}|{rest}"));
        assert_eq!(taken("*/5\t0-6,12  * jan Mon-5  root x  y").as_deref(), Some("*/5 0-6,12 * jan Mon-5|root x  y"));
        assert_eq!(taken("@daily root x").as_deref(), Some("@daily|root x"));
        for wrong in [
            "60 * * * * x",
            "* 24 * * * x",
            "* * 0 * * x",
            "* * * 13 * x",
            "* * * * 8 x",
            "*/0 * * * * x",
            "1/2 * * * * x",
            "@Daily x",
            "@often x",
            "* * * *",
            "x",
            "1,,2 * * * * x",
            "é",
        ] {
            assert_eq!(taken(wrong), None, "{wrong}");
        }
    }
}
