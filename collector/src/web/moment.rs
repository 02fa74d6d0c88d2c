//! Instants and intervals as a reader takes them in: the date in UTC, and how long ago that was.
//!
//! Pages never say "today": they may be printed and read later. The machine-readable form stands in `datetime`.

use audit::drift::Interval;
use chrono::{DateTime, TimeDelta, Utc};

/// An instant, and the instant it is looked at from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Moment {
    /// `at`, seen from `now`.
    pub fn new(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self { at, now }
    }

    /// For the `datetime` attribute.
    pub fn iso(&self) -> String {
        self.at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// For people: `Fri 20 Nov 2026, 18:04 UTC`.
    pub fn label(&self) -> String {
        self.at.format("%a %-d %b %Y, %H:%M UTC").to_string()
    }

    /// `3 hours ago`, `in 2 days`.
    pub fn ago(&self) -> String {
        let delta = self.now - self.at;
        let (size, past) = (delta.abs(), delta >= TimeDelta::zero());
        if size < TimeDelta::seconds(45) {
            return if past { "just now" } else { "in a moment" }.into();
        }
        let words = roughly(size);
        if past { format!("{words} ago") } else { format!("in {words}") }
    }
}

/// One unit is enough for a glance: `40 minutes`, `3 days`.
fn roughly(size: TimeDelta) -> String {
    let (number, unit) = match size {
        s if s < TimeDelta::minutes(60) => (s.num_minutes().max(1), "minute"),
        s if s < TimeDelta::hours(48) => (s.num_hours(), "hour"),
        s if s < TimeDelta::days(60) => (s.num_days(), "day"),
        s if s < TimeDelta::days(730) => (s.num_days() / 30, "month"),
        s => (s.num_days() / 365, "year"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// When a drift happened: after one instant, not after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    /// The observation before.
    pub from: Moment,
    /// The observation that showed it.
    pub to: Moment,
}

impl Between {
    /// `interval`, seen from `now`.
    pub fn new(interval: Interval, now: DateTime<Utc>) -> Self {
        Self { from: Moment::new(interval.from, now), to: Moment::new(interval.to, now) }
    }

    /// The start: `Fri 20 Nov 2026, 18:02`.
    pub fn from_label(&self) -> String {
        let form = if self.is_short() { "%a %-d %b %Y, %H:%M:%S" } else { "%a %-d %b %Y, %H:%M" };
        self.from.at.format(form).to_string()
    }

    /// The end, without what the start has said: `18:04 UTC` where both are on one day.
    pub fn to_label(&self) -> String {
        let same_day = self.from.at.date_naive() == self.to.at.date_naive();
        let form = match (same_day, self.is_short()) {
            (true, false) => "%H:%M UTC",
            (true, true) => "%H:%M:%S UTC",
            (false, false) => "%a %-d %b %Y, %H:%M UTC",
            (false, true) => "%a %-d %b %Y, %H:%M:%S UTC",
        };
        self.to.at.format(form).to_string()
    }

    /// So short that minutes would read as no time at all.
    fn is_short(&self) -> bool {
        (self.to.at - self.from.at).abs() < TimeDelta::minutes(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_moment_says_the_date_and_how_long_ago() {
        let moment = Moment::new(at(0), at(3 * 3600));
        assert_eq!(
            (moment.iso().as_str(), moment.label().as_str(), moment.ago().as_str()),
            ("2027-01-15T08:00:00Z", "Fri 15 Jan 2027, 08:00 UTC", "3 hours ago")
        );
    }

    #[test]
    fn words_fit_the_size_and_the_direction() {
        let words: Vec<_> = [10, 60, 3540, 3600, 172_800, 86_400 * 90, 86_400 * 800, -7200, -5]
            .map(|ago| Moment::new(at(0), at(ago)).ago())
            .into();
        assert_eq!(
            words,
            [
                "just now",
                "1 minute ago",
                "59 minutes ago",
                "1 hour ago",
                "2 days ago",
                "3 months ago",
                "2 years ago",
                "in 2 hours",
                "in a moment"
            ]
        );
    }

    #[test]
    fn an_interval_within_a_day_names_the_day_once() {
        let within = Between::new(Interval { from: at(0), to: at(300) }, at(400));
        assert_eq!((within.from_label(), within.to_label()), ("Fri 15 Jan 2027, 08:00".into(), "08:05 UTC".into()));
        let short = Between::new(Interval { from: at(0), to: at(7) }, at(400));
        assert_eq!((short.from_label(), short.to_label()), ("Fri 15 Jan 2027, 08:00:00".into(), "08:00:07 UTC".into()));
        let over = Between::new(Interval { from: at(0), to: at(86_400) }, at(86_400));
        assert_eq!(over.to_label(), "Sat 16 Jan 2027, 08:00 UTC");
    }
}
