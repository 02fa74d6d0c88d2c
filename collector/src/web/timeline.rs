//! One host's time line: what happened to it and what was said about it, newest first.

use super::change_of::Part;
use super::frame::Tone;
use super::moment::Moment;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was known.
    pub at: Moment,
    /// How it hangs on the line; the label says the same.
    pub tone: Tone,
    /// What kind of thing: `unauthorised: no record`, `deviation opened`, `enrolled`.
    pub label: String,
    /// What it is about.
    pub title: String,
    /// Its page, where it has one.
    pub href: Option<String>,
    /// What changed, where something did.
    pub parts: Vec<Part>,
    /// The rest, as a sentence.
    pub detail: String,
}

/// Newest first; of one instant, what stands later in the list happened first. At most `limit`, and how many there were.
pub fn newest_first(mut entries: Vec<(chrono::DateTime<chrono::Utc>, Entry)>, limit: usize) -> Vec<Entry> {
    entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    entries.into_iter().take(limit).map(|(_, entry)| entry).collect()
}

#[cfg(test)]
pub(crate) mod testing {
    use super::super::frame::testing::at;
    use super::super::text::nasty;
    use super::*;

    /// An entry whose every text is hostile.
    pub(crate) fn nasty_entries() -> Vec<Entry> {
        let text = nasty::all();
        vec![Entry {
            at: Moment::new(at(0), at(1)),
            tone: Tone::Bad,
            label: text.clone(),
            title: text.clone(),
            href: Some("/drift/1".into()),
            parts: vec![Part { field: Some(text.clone()), before: Some(text.clone()), after: Some(text.clone()) }],
            detail: text,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::testing::at;
    use super::*;

    #[test]
    fn the_newest_stands_first_and_the_oldest_falls_off() {
        let entry = |minute: i64| {
            let entry = Entry { title: minute.to_string(), ..testing::nasty_entries().remove(0) };
            (at(minute), entry)
        };
        let kept = newest_first(vec![entry(1), entry(3), entry(2)], 2);
        assert_eq!(kept.iter().map(|entry| entry.title.as_str()).collect::<Vec<_>>(), ["3", "2"]);
    }
}
