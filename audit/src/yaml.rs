//! YAML a person wrote: typed, with every complaint at its line and column, under a caret, with a suggestion.
//!
//! Baselines, configuration and end-of-life data are all read here. Hostile text is refused before it is parsed: too
//! large, nested too deep, too many values, aliases (a few lines of them can stand for gigabytes), a key twice.
//! The typed parse knows *which* key was wrong (serde_path_to_error); an index from the event parser knows *where* it is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use saphyr_parser::{Event, Parser, Span};
use serde::de::DeserializeOwned;

/// The largest document, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 32;

/// The most values, keys not counted. In memory each costs hundreds of bytes, however few it takes to write one, and the
/// time to read a document goes by their number: a baseline or dates that come near this are several files' worth.
pub const MAX_VALUES: usize = 10_000;
/// The most bytes the places of all values may take to write (`rules[3].time`): long keys nested deep would repeat in
/// each, and a document of 1 MiB stand for gigabytes.
pub const MAX_PLACES: usize = 2 * 1024 * 1024;
/// The longest line, in bytes: the parser holds all of a line before its values can be counted.
pub const MAX_LINE: usize = 16 * 1024;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The file's name as given.
    pub file: String,
    /// From 1; 0 where the document as a whole is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
    /// The line itself.
    pub source: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)?;
        } else {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            let before: String = self.source.chars().take(self.column.saturating_sub(1)).collect();
            let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            writeln!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {}", self.source)?;
            write!(f, "{margin} | {indent}^")?;
        }
        match &self.hint {
            Some(hint) => write!(f, " {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Complaint {}

/// A document that was accepted, with the place of each of its nodes.
#[derive(Debug)]
pub struct Document<'a> {
    file: Cow<'a, str>,
    text: Cow<'a, str>,
    places: BTreeMap<String, Place>,
    /// Trusted, and without places.
    shipped: bool,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    key: Option<Position>,
    value: Position,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    line: usize,
    column: usize,
}

impl<'a> Document<'a> {
    /// Refuses what no honest document holds, and notes where everything stands.
    pub fn open(file: &'a str, bytes: &'a [u8]) -> Result<Self, Complaint> {
        if bytes.len() > MAX_BYTES {
            return Err(whole(file, format!("{} bytes, more than the {MAX_BYTES} allowed", bytes.len())));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| whole(file, format!("not UTF-8 after byte {}", error.valid_up_to())))?;
        let places = BTreeMap::new();
        let mut document = Self { file: Cow::Borrowed(file), text: Cow::Borrowed(text), places, shipped: false };
        if let Some(before) = text.lines().position(|line| line.len() > MAX_LINE) {
            let at = Position { line: before + 1, column: 1 };
            return Err(document.at(at, format!("a line of more than {MAX_LINE} bytes"), None));
        }
        document.places = document.index()?;
        Ok(document)
    }

    /// The same, keeping what it was read from: documents that name each other outlive the reading of one.
    pub fn own(file: &str, bytes: &[u8]) -> Result<Document<'static>, Complaint> {
        let Document { file, text, places, shipped } = Document::open(file, bytes)?;
        let (file, text) = (Cow::Owned(file.into_owned()), Cow::Owned(text.into_owned()));
        Ok(Document { file, text, places, shipped })
    }

    /// The file's name as given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line on which the node at `path` begins, from 1; `None` where there is no such node, or no places.
    pub fn line(&self, path: &str) -> Option<usize> {
        self.places.get(path).map(|place| place.key.unwrap_or(place.value).line)
    }

    /// A document that ships inside the program, which the tests open as they open any other: read without a second
    /// pass for its places. Half of what a check spends on YAML is saved so.
    pub fn shipped(file: &'static str, text: &'static str) -> Document<'static> {
        let places = BTreeMap::new();
        Document { file: Cow::Borrowed(file), text: Cow::Borrowed(text), places, shipped: true }
    }

    /// The document as a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Complaint> {
        if self.shipped
            && let Ok(parsed) = serde_yaml::from_str(&self.text)
        {
            return Ok(parsed);
        }
        serde_path_to_error::deserialize(self.value()?).map_err(|error| {
            let path = error.path().to_string();
            self.complain(if path == "." { "" } else { &path }, &error.into_inner().to_string())
        })
    }

    /// The document untyped.
    pub fn value(&self) -> Result<serde_yaml::Value, Complaint> {
        serde_yaml::from_str(&self.text).map_err(|error| {
            let at = error
                .location()
                .map_or(Position { line: 1, column: 1 }, |at| Position { line: at.line(), column: at.column() });
            self.at(at, error.to_string(), None)
        })
    }

    /// A complaint about the node at `path` (as serde_path_to_error writes it: `rules[3].time`), its place found and a
    /// suggestion drawn from serde's list of what would have been right.
    pub fn complain(&self, path: &str, message: &str) -> Complaint {
        let (message, hint) = suggest(message);
        // An unknown key is complained of at its own path or at its parent's; its own place is better.
        let own = unknown_name(&message).and_then(|name| {
            let itself = path == name || path.ends_with(&format!(".{name}"));
            self.places.get(&child(path, &name)).or_else(|| self.places.get(path).filter(|_| itself))
        });
        let missing = message.starts_with("missing field");
        let place = own.or_else(|| self.nearest(path));
        let position = place.map_or(Position { line: 1, column: 1 }, |place| match place.key {
            Some(key) if own.is_some() || missing => key,
            Some(_) | None => place.value,
        });
        self.at(position, message, hint)
    }

    /// A complaint about the *key* at `path`.
    pub fn complain_of_key(&self, path: &str, message: &str, hint: Option<String>) -> Complaint {
        let position =
            self.nearest(path).map_or(Position { line: 1, column: 1 }, |place| place.key.unwrap_or(place.value));
        self.at(position, message.to_owned(), hint)
    }

    /// A complaint about the *value* at `path`, with a hint of the caller's.
    pub fn complain_at(&self, path: &str, message: &str, hint: Option<String>) -> Complaint {
        let position = self.nearest(path).map_or(Position { line: 1, column: 1 }, |place| place.value);
        self.at(position, message.to_owned(), hint)
    }

    fn nearest(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }

    fn at(&self, at: Position, message: String, hint: Option<String>) -> Complaint {
        let source = self.text.lines().nth(at.line.saturating_sub(1)).unwrap_or("");
        Complaint {
            file: self.file.clone().into_owned(),
            line: at.line,
            column: at.column,
            message: short(message),
            hint: hint.map(short),
            source: source.chars().take(200).collect(),
        }
    }

    fn index(&self) -> Result<BTreeMap<String, Place>, Complaint> {
        let mut index = Index::default();
        for event in Parser::new_from_str(&self.text) {
            let (event, span) = event.map_err(|error| {
                let at = Position { line: error.marker().line(), column: error.marker().col() + 1 };
                self.at(at, format!("not YAML: {}", error.info()), None)
            })?;
            index.take(event, position(span)).map_err(|(at, message)| self.at(at, message, None))?;
        }
        Ok(index.places)
    }
}

fn whole(file: &str, message: String) -> Complaint {
    Complaint { file: file.into(), line: 0, column: 0, message: short(message), hint: None, source: String::new() }
}

/// A complaint that quotes what was written, which may be a megabyte.
pub(crate) fn short(mut text: String) -> String {
    const LONGEST: usize = 2000;
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

fn position(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

/// Walks the events, keeping the path to each node.
#[derive(Default)]
struct Index {
    places: BTreeMap<String, Place>,
    open: Vec<Level>,
    documents: usize,
    /// Counted apart from `places`, for keys with dots in them can give two values one place.
    values: usize,
    bytes: usize,
}

enum Level {
    Sequence { path: String, next: usize },
    Mapping { path: String, key: Option<(String, Position)>, seen: BTreeSet<String> },
}

impl Index {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), (Position, String)> {
        match event {
            Event::Alias(_) => Err((at, "aliases are not allowed: write the value out".into())),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err((at, "a second document in one file".into()));
                }
                Ok(())
            }
            Event::Scalar(text, ..) => self.scalar(&text, at),
            Event::SequenceStart(..) => {
                let path = self.enter(at)?;
                self.push(Level::Sequence { path, next: 0 }, at)
            }
            Event::MappingStart(..) => {
                let path = self.enter(at)?;
                self.push(Level::Mapping { path, key: None, seen: BTreeSet::new() }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn push(&mut self, level: Level, at: Position) -> Result<(), (Position, String)> {
        if self.open.len() >= MAX_DEPTH {
            return Err((at, format!("nested deeper than {MAX_DEPTH}")));
        }
        self.open.push(level);
        Ok(())
    }

    fn scalar(&mut self, text: &str, at: Position) -> Result<(), (Position, String)> {
        if let Some(Level::Mapping { key: key @ None, seen, .. }) = self.open.last_mut() {
            if !seen.insert(text.to_owned()) {
                return Err((at, format!("the key `{text}` stands twice")));
            }
            *key = Some((text.to_owned(), at));
            return Ok(());
        }
        self.enter(at).map(drop)
    }

    /// Notes a value that begins here, and returns its path.
    fn enter(&mut self, at: Position) -> Result<String, (Position, String)> {
        let (path, key) = match self.open.last_mut() {
            None => (String::new(), None),
            Some(Level::Sequence { path, next }) => {
                let own = format!("{path}[{next}]");
                *next += 1;
                (own, None)
            }
            Some(Level::Mapping { path, key, .. }) => {
                let Some((name, place)) = key.take() else {
                    return Err((at, "a key must be plain text".into()));
                };
                (child(path, &name), Some(place))
            }
        };
        self.values += 1;
        self.bytes += path.len();
        if self.values > MAX_VALUES {
            return Err((at, format!("more than {MAX_VALUES} values")));
        }
        if self.bytes > MAX_PLACES {
            return Err((at, "too many long keys nested in each other".into()));
        }
        self.places.insert(path.clone(), Place { key, value: at });
        Ok(path)
    }
}

fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The name between the first pair of backquotes of serde's "unknown field `x`, …".
fn unknown_name(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    Some(rest.split_once('`')?.0.to_owned())
}

/// Serde's complaint in our words, and the nearest of the names it says would have been right.
fn suggest(message: &str) -> (String, Option<String>) {
    let message = message.split(" at line ").next().unwrap_or(message);
    let Some((complaint, right)) = message.split_once(", expected ") else { return (message.to_owned(), None) };
    let given = complaint.strip_prefix("unknown field `").or_else(|| complaint.strip_prefix("unknown variant `"));
    let Some(given) = given.and_then(|rest| rest.strip_suffix('`')) else { return (message.to_owned(), None) };
    let names: Vec<&str> = right.split('`').skip(1).step_by(2).collect();
    (complaint.to_owned(), did_you_mean(given, &names))
}

/// "did you mean `x`?" for the nearest name, or the whole list where none is near.
pub fn did_you_mean(given: &str, names: &[&str]) -> Option<String> {
    let nearest =
        names.iter().max_by(|a, b| strsim::jaro_winkler(given, a).total_cmp(&strsim::jaro_winkler(given, b)))?;
    if strsim::jaro_winkler(given, nearest) > 0.75 {
        return Some(format!("did you mean `{nearest}`?"));
    }
    Some(format!("one of: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "items")]
        _items: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "synchronised")]
        _synchronised: bool,
        #[serde(default, rename = "count")]
        _count: u32,
    }

    fn complaint(text: &str) -> String {
        let parsed = Document::open("f.yaml", text.as_bytes()).and_then(|document| document.parse::<Outer>());
        parsed.unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_pointed_at_with_the_nearest_name() {
        let said = complaint("items:\n  - synchronised: true\n  - synchronized: true\n");
        assert_eq!(
            said,
            "f.yaml:3:5: unknown field `synchronized`\n  |\n3 |   - synchronized: true\n  |     ^ did you mean `synchronised`?"
        );
    }

    #[test]
    fn a_wrong_type_is_pointed_at_where_its_value_stands() {
        let said = complaint("items:\n  - synchronised: true\n    count: many\n");
        assert!(said.starts_with("f.yaml:3:12: "), "{said}");
    }

    #[test]
    fn a_missing_key_is_said_of_its_block() {
        let said = complaint("items:\n  - count: 1\n");
        assert!(said.starts_with("f.yaml:2:5: missing field `synchronised`"), "{said}");
    }

    #[test]
    fn a_document_cannot_stand_for_many_times_its_size() {
        let nested = |key: usize, values: usize| -> String {
            let outer = (0..MAX_DEPTH - 1).map(|depth| format!("{}{}:\n", " ".repeat(depth), "k".repeat(key)));
            let inner = (0..values).map(|value| format!("{}v{value}:\n", " ".repeat(MAX_DEPTH)));
            outer.chain(inner).collect()
        };
        let said = complaint(&nested(900, 5000));
        assert!(said.contains("f.yaml:91:36: too many long keys nested in each other"), "{said}");
        // What people write stays far below: keys of ten letters, four deep in thousands of rules.
        let honest: String =
            (0..2000).map(|n| format!("- {{identifier{n}: {{expectation: {{synchronised: x}}}}}}\n")).collect();
        assert!(Document::open("f.yaml", honest.as_bytes()).is_ok());
        // Two values of one place are two values.
        let dotted = "- {a: {a.a: 1}, a.a: {a: 1}, a.a.a: 1}\n".repeat(MAX_VALUES / 6 + 1);
        assert!(complaint(&dotted).contains("more than 10000 values"), "{:.200}", complaint(&dotted));
    }

    #[test]
    fn what_no_honest_document_holds_is_refused_before_it_is_parsed() {
        let bomb = "a: &a [x, x]\nb: [*a, *a]\n";
        assert!(complaint(bomb).contains("2:5: aliases"), "{}", complaint(bomb));
        assert!(complaint(&format!("{}{}", "[".repeat(40), "]".repeat(40))).contains("nested deeper"));
        assert!(complaint(&"- a\n".repeat(MAX_VALUES + 1)).contains("more than 10000 values"));
        assert!(
            complaint(&(0..MAX_VALUES).map(|n| format!("k{n}:\n")).collect::<String>())
                .contains("more than 10000 values")
        );
        let anchors: String = (0..MAX_VALUES).map(|n| format!("- &a{n} x\n")).collect();
        assert!(complaint(&anchors).contains("f.yaml:10000:3: more than 10000 values"), "{}", complaint(&anchors));
        assert!(complaint(&"[".repeat(100_000)).contains("f.yaml:1:"), "{:.300}", complaint(&"[".repeat(100_000)));
        assert!(complaint("items: []\nitems: []\n").contains("2:1: the key `items` stands twice"));
        assert!(complaint("items: [\n").contains("not YAML"));
        assert!(complaint(&" ".repeat(MAX_BYTES + 1)).contains("more than"));
        assert!(complaint("---\nitems: []\n---\n").contains("a second document"));
        assert!(complaint(&format!("items:\n[{}]", "a,".repeat(500_000))).contains("f.yaml:2:1: a line of more than"));
    }
}
