//! Which names and paths a glob means: `*`, `?`, `{a,b}`, `[a-z]` and, between slashes, `**`.
//!
//! The language is that of globset, which decides what is a pattern and matches the rare ones. Nearly all patterns need no
//! automaton: a check that compiled one for each declared read spent a third of its time on it. So a pattern of stars,
//! question marks and plain alternatives is matched as it is written, and one with brackets, escapes or nested braces is
//! compiled when it is first asked. `tests` holds the two to the same answers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use globset::{GlobBuilder, GlobMatcher};

/// The most plain patterns that one with braces may stand for; what has more is compiled.
const MAX_ALTERNATIVES: usize = 256;

/// What is wrong with a pattern, in globset's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadGlob(String);

/// What a wildcard matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wild {
    /// Anything but a slash; `/**` at the end matches all that is below.
    Part,
    /// Any character, slashes too.
    All,
}

/// A pattern.
#[derive(Debug, Clone)]
pub struct Glob {
    wild: Wild,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    /// Each as it is written.
    Plain(Box<[Alternative]>),
    /// Compiled when first asked; `None` where it is no pattern after all.
    Compiled { text: Box<str>, matcher: Arc<OnceLock<Option<GlobMatcher>>> },
}

/// Stars and question marks, and how long the pattern is before the first of them.
#[derive(Debug, Clone)]
struct Alternative {
    text: Box<[u8]>,
    plain: usize,
}

impl Glob {
    /// A pattern over paths: `*` and `?` match within one folder, `**` below it.
    pub fn of_paths(text: &str) -> Result<Self, BadGlob> {
        Self::new(text, Wild::Part)
    }

    /// A pattern over names: a slash is a character as any other.
    pub fn of_names(text: &str) -> Result<Self, BadGlob> {
        Self::new(text, Wild::All)
    }

    fn new(text: &str, wild: Wild) -> Result<Self, BadGlob> {
        let matcher = match plain(text, wild) {
            Some(alternatives) => Matcher::Plain(alternatives),
            None => {
                built(text, wild).map_err(|error| BadGlob(error.kind().to_string()))?;
                Matcher::Compiled { text: text.into(), matcher: Arc::default() }
            }
        };
        Ok(Self { wild, matcher })
    }

    /// Whether it is matched as it is written, without an automaton.
    pub fn is_plain(&self) -> bool {
        matches!(self.matcher, Matcher::Plain(_))
    }

    /// Whether it means `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_bytes(text.as_bytes())
    }

    /// Whether it means `path`, byte by byte: no part of it is interpreted.
    pub fn matches_path(&self, path: &Path) -> bool {
        self.matches_bytes(path.as_os_str().as_bytes())
    }

    fn matches_bytes(&self, name: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Plain(alternatives) => alternatives.iter().any(|one| one.matches(name, self.wild)),
            Matcher::Compiled { text, matcher } => {
                let compile = || built(text, self.wild).ok().map(|glob| glob.compile_matcher());
                matcher.get_or_init(compile).as_ref().is_some_and(|matcher| matcher.is_match(OsStr::from_bytes(name)))
            }
        }
    }
}

fn built(text: &str, wild: Wild) -> Result<globset::Glob, globset::Error> {
    let mut builder = GlobBuilder::new(text);
    builder.literal_separator(wild == Wild::Part).backslash_escape(true).empty_alternates(true).build()
}

/// The alternatives, if each is made of plain characters, stars and question marks alone.
fn plain(text: &str, wild: Wild) -> Option<Box<[Alternative]>> {
    if text.bytes().any(|byte| matches!(byte, b'[' | b']' | b'\\')) {
        return None;
    }
    // Two stars that follow each other mean more than one, and where braces bring them together they do not.
    let below = if wild == Wild::Part && text.ends_with("/**") { "/**" } else { "" };
    let mut whole = Vec::new();
    expand("", text.strip_suffix(below)?, &mut whole)?;
    let single = whole.iter().all(|text| !text.as_bytes().windows(2).any(|pair| pair == b"**"));
    single.then(|| whole.into_iter().map(|text| Alternative::new(text + below)).collect())
}

/// `before` and each way to read `rest`; `None` where braces are nested, not closed, or stand for too much.
fn expand(before: &str, rest: &str, whole: &mut Vec<String>) -> Option<()> {
    let Some((here, inside_on)) = rest.split_once('{') else {
        whole.push([before, rest].concat());
        return (!rest.contains('}') && whole.len() <= MAX_ALTERNATIVES).then_some(());
    };
    let (inside, after) = inside_on.split_once('}')?;
    if here.contains('}') || inside.contains('{') {
        return None;
    }
    inside.split(',').try_for_each(|one| expand(&[before, here, one].concat(), after, whole))
}

impl Alternative {
    fn new(text: String) -> Self {
        let plain = text.bytes().position(|byte| matches!(byte, b'*' | b'?')).unwrap_or(text.len());
        Self { text: text.into_bytes().into(), plain }
    }

    /// The last star alone is tried again, further on: what stood before it has matched as early as it could, and a star
    /// that may not pass a slash cannot be what would have helped beyond one.
    fn matches(&self, name: &[u8], wild: Wild) -> bool {
        let Some((prefix, pattern)) = self.text.split_at_checked(self.plain) else { return false };
        let Some(name) = name.strip_prefix(prefix) else { return false };
        let passes = |byte: u8| wild == Wild::All || byte != b'/';
        let (mut at, mut here) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            match (pattern.get(at), name.get(here)) {
                (Some(b'*'), _) if pattern.get(at + 1) == Some(&b'*') => return true,
                (Some(b'*'), _) => {
                    star = Some((at + 1, here));
                    at += 1;
                }
                (None, None) => return true,
                (Some(b'?'), Some(byte)) if passes(*byte) => (at, here) = (at + 1, here + 1),
                (Some(wanted), Some(byte)) if wanted == byte && *wanted != b'?' => (at, here) = (at + 1, here + 1),
                (Some(_), _) | (None, Some(_)) => match star {
                    Some((after, from)) if name.get(from).copied().is_some_and(passes) => {
                        star = Some((after, from + 1));
                        (at, here) = (after, from + 1);
                    }
                    Some(_) | None => return false,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(text: &str, name: &str, wild: Wild) -> (bool, bool) {
        let ours = Glob::new(text, wild).is_ok_and(|glob| glob.matches(name));
        let theirs = built(text, wild).is_ok_and(|glob| glob.compile_matcher().is_match(name));
        (ours, theirs)
    }

    #[test]
    fn what_globs_mean_among_paths_and_among_names() {
        let path = |glob: &str, path: &str| Glob::of_paths(glob).unwrap().matches(path);
        assert!(path("/etc/sudoers.d/*", "/etc/sudoers.d/a") && !path("/etc/sudoers.d/*", "/etc/sudoers.d/a/b"));
        assert!(path("/etc/chrony/**", "/etc/chrony/a/b") && !path("/etc/chrony/**", "/etc/chrony"));
        assert!(path("/{etc,usr/lib}/{*.wants/,}x.service", "/usr/lib/a.wants/x.service"));
        assert!(path("/{etc,usr/lib}/{*.wants/,}x.service", "/etc/x.service"));
        assert!(path("/etc/rc?.d", "/etc/rc3.d") && !path("/etc/rc?d", "/etc/rc/d"));
        assert!(path("/etc/[a-c]/{b,{c,d}}", "/etc/b/d") && !path("/etc/[a-c]/x", "/etc/d/x"));
        let name = |glob: &str, name: &str| Glob::of_names(glob).unwrap().matches(name);
        assert!(name("*a*b*", "/x/a/y/b") && name("*", "") && name("a*", "a") && !name("*aab", "aaac"));
        assert!(name(r"a\*", "a*") && !name(r"a\*", "ab"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_and_says_why() {
        for bad in ["[", "a{b", "{a,{b}", "a\\"] {
            assert!(Glob::of_names(bad).is_err() && Glob::of_paths(bad).is_err(), "{bad}");
        }
        assert!(Glob::of_paths("[z-a]").unwrap_err().to_string().contains("range"));
    }

    #[test]
    fn a_pattern_made_to_be_tried_for_ever_is_answered_at_once() {
        let name = "a".repeat(4096);
        assert!(!Glob::of_names(&"*a".repeat(140)).unwrap().matches(&format!("{name}b")));
        assert!(!Glob::of_names(&"{a,b}".repeat(50)).unwrap().matches(&name));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn patterns_matched_as_written_mean_what_globset_says(
            pattern in "/?([ab/.*?]|[*]|/[*][*]|\\{[ab,*/]{0,3}\\}){0,7}", name in "/?[ab/.]{0,9}", all in any::<bool>(),
        ) {
            let (ours, theirs) = both(&pattern, &name, if all { Wild::All } else { Wild::Part });
            prop_assert_eq!(ours, theirs, "{} {}", pattern, name);
        }

        #[test]
        fn any_text_is_a_pattern_or_is_refused_as_globset_does(pattern in "[ab*?/{},\\[\\]\\\\-]{0,10}", name in "[ab*/{,]{0,6}") {
            let refused = built(&pattern, Wild::Part).is_err();
            prop_assert_eq!(Glob::of_paths(&pattern).is_err(), refused);
            let (ours, theirs) = both(&pattern, &name, Wild::Part);
            prop_assert_eq!(ours, theirs, "{} {}", pattern, name);
        }
    }
}
