//! What a rule can ask of files.

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};

use super::paths::Asking;
use crate::digest::Digest;
use crate::host::EntryKind;

/// The largest compiled pattern, in bytes. It bounds what one byte of content can cost.
const MAX_PROGRAM: usize = 32 * 1024;
/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1000;
/// The most paths of one rule.
const MAX_PATHS: usize = 1000;

/// What a rule can ask.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The files meant.
    pub paths: Option<Vec<Asking>>,
    /// Whether they must be there, or must not.
    pub present: Option<bool>,
    /// What they must be, or which of a glob's matches are meant.
    pub kind: Option<Kind>,
    /// Who may own them.
    #[serde(default, deserialize_with = "one_or_many")]
    pub owner: Option<Vec<String>>,
    /// Which groups they may belong to.
    #[serde(default, deserialize_with = "one_or_many")]
    pub group: Option<Vec<String>>,
    /// Which modes they may have.
    #[serde(default, deserialize_with = "one_or_many")]
    pub mode: Option<Vec<Mode>>,
    /// The most that their mode may allow.
    pub at_most: Option<Mode>,
    /// That there is no access control list.
    pub acl: Option<NoAcl>,
    /// The capabilities they may have.
    pub capabilities: Option<Vec<Capability>>,
    /// What they may hold.
    #[serde(default, deserialize_with = "one_or_many")]
    pub sha256: Option<Vec<Digest>>,
    /// What some line must match.
    #[serde(default, deserialize_with = "one_or_many")]
    pub contains: Option<Vec<Search>>,
    /// What no line may match.
    #[serde(default, deserialize_with = "one_or_many")]
    pub lacks: Option<Vec<Search>>,
    /// That each change of the content is drift.
    pub tracked: Option<bool>,
    /// The only files that run with more rights than their caller.
    pub privileged: Option<Vec<Asking>>,
    /// The only files everybody may write.
    pub world_writable: Option<Vec<Asking>>,
    /// The only files of packages that may differ.
    pub changed: Option<Vec<Asking>>,
    /// The only configuration of packages that may differ.
    pub changed_configuration: Option<Vec<Asking>>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, whatever it leads to.
    Link,
    /// A socket, device or FIFO.
    Other,
}

impl Kind {
    /// The rule's word for what the host says.
    pub fn of(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File => Self::File,
            EntryKind::Directory => Self::Folder,
            EntryKind::Link => Self::Link,
            EntryKind::Other => Self::Other,
        }
    }

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Link => "link",
            Self::Other => "other",
        }
    }
}

/// Permission bits, written as four octal digits in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct Mode(pub u32);

impl TryFrom<serde_json::Value> for Mode {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        // YAML readers disagree on what number 0640 is; as text it is what chmod(1) takes.
        let Some(text) = value.as_str() else {
            return Err(format!("a mode stands in quotes, as four octal digits: \"0640\", not {value}"));
        };
        Self::parse(text).ok_or_else(|| format!("`{text}` is not a mode: four octal digits, as \"0640\""))
    }
}

impl Mode {
    /// Out of four octal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let octal = text.len() == 4 && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        octal.then(|| u32::from_str_radix(text, 8).ok()).flatten().map(Self)
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// The one thing to ask of access control lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoAcl {
    /// None beyond the mode.
    None,
}

/// A capability by its name: `cap_net_raw`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Capability(pub String);

impl TryFrom<String> for Capability {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let named = super::rights::NAMES.iter().any(|name| text.strip_prefix("cap_") == Some(name));
        if named { Ok(Self(text)) } else { Err(format!("`{text}` is not a capability: see capabilities(7)")) }
    }
}

/// A regular expression over the bytes of a line, with its text.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Search {
    text: String,
    regex: Regex,
}

impl TryFrom<String> for Search {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_PATTERN {
            return Err(format!("a pattern is 1 to {MAX_PATTERN} bytes"));
        }
        let mut builder = RegexBuilder::new(&text);
        builder.unicode(false).size_limit(MAX_PROGRAM).dfa_size_limit(16 * MAX_PROGRAM).nest_limit(30);
        match builder.build() {
            Ok(regex) => Ok(Self { text, regex }),
            Err(regex::Error::CompiledTooBig(_)) => Err(format!("the pattern `{text}` is too large when compiled")),
            Err(error) => {
                // The crate draws the place over several lines; the reason is the last.
                let said = error.to_string();
                let reason = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(format!("`{text}` is not a regular expression: {reason}"))
            }
        }
    }
}

impl Search {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether some line of `content` matches.
    pub(super) fn some_line(&self, content: &[u8]) -> bool {
        if content.is_empty() {
            return false;
        }
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        content.split(|byte| *byte == b'\n').any(|line| self.regex.is_match(line))
    }
}

impl Expect {
    /// Whether contents have to be summed.
    pub(super) fn sums(&self) -> bool {
        self.sha256.is_some() || self.tracked == Some(true)
    }

    /// All patterns asked for.
    pub(super) fn searches(&self) -> impl Iterator<Item = &Search> {
        self.contains.iter().chain(&self.lacks).flatten()
    }

    /// Whether anything is asked of the files named.
    fn asks_of_paths(&self) -> bool {
        self.present.is_some()
            || self.kind.is_some()
            || self.owner.is_some()
            || self.group.is_some()
            || self.mode.is_some()
            || self.at_most.is_some()
            || self.acl.is_some()
            || self.capabilities.is_some()
            || self.tracked.is_some()
            || self.sha256.is_some()
            || self.searches().next().is_some()
    }
}

/// `root` or `[root, shadow]`.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    struct Either<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Either<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("one of them, or a list")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| vec![one])
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Vec<T>, E> {
            T::deserialize(serde::de::value::U64Deserializer::new(number)).map(|one| vec![one])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = list.next_element()? {
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Either(std::marker::PhantomData)).map(Some)
}

/// What serde could not see.
pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let refuse = |key: &str, why: &str| Err((key.to_owned(), why.to_owned()));
    let lists = [
        ("paths", expect.paths.as_ref().map(Vec::len)),
        ("owner", expect.owner.as_ref().map(Vec::len)),
        ("group", expect.group.as_ref().map(Vec::len)),
        ("mode", expect.mode.as_ref().map(Vec::len)),
        ("sha256", expect.sha256.as_ref().map(Vec::len)),
        ("contains", expect.contains.as_ref().map(Vec::len)),
        ("lacks", expect.lacks.as_ref().map(Vec::len)),
    ];
    for (key, length) in lists {
        match length {
            Some(0) => return refuse(key, "an empty list asks nothing"),
            Some(length) if length > MAX_PATHS => {
                return refuse(key, "more than a thousand: use a glob, or several rules");
            }
            Some(_) | None => {}
        }
    }
    if expect.tracked == Some(false) {
        return refuse("tracked", "`tracked: false` asks nothing: leave it out");
    }
    let surveys = [&expect.privileged, &expect.world_writable, &expect.changed, &expect.changed_configuration];
    match (&expect.paths, expect.asks_of_paths()) {
        (None, false) if surveys.iter().any(|survey| survey.is_some()) => {}
        (Some(_), true) => {}
        (Some(_), false) => return refuse("paths", "nothing is asked of them: say `present: true`, `owner: root`, …"),
        (None, true) => return refuse("", "of which files? Name them in `paths`"),
        (None, false) => return refuse("", "ask something: `paths` and what they are to be"),
    }
    let alone = expect.present == Some(false);
    let count = Expect { present: None, paths: None, ..expect.clone() };
    if alone && (count.asks_of_paths() && count.kind.is_none()) {
        return refuse("present", "what must not be there cannot be anything else besides");
    }
    Ok(())
}
