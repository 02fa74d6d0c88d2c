//! sshd_config's lines: words, quotes, `Include` and `Match`, as servconf.c reads them.
//!
//! A file is read once. What stands before any `Match` is global, what stands after one belongs to that block, also
//! across the end of an included file: sshd_config(5) has the scope of an included file end with it.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::criteria::{self, Criterion};
use super::keywords::{self, Kind};
use crate::host::{EntryKind, Gap, GapKind, Host, path_text, read_small};

/// How deep includes may stand in each other (servconf.h).
const MAX_DEPTH: u32 = 16;
/// The most lines read in all; sshd's own configurations have a few hundred.
const MAX_LINES: usize = 50_000;
/// The most files read in all.
const MAX_FILES: usize = 1_000;
/// The longest line, in bytes; sshd has no bound of its own.
const MAX_LINE: usize = 64 * 1024;
/// The most bytes of all values together: facts travel.
const MAX_BYTES: usize = 256 * 1024;

/// What one keyword is set to, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) values: Vec<String>,
    pub(super) file: String,
}

/// Settings by keyword.
pub(super) type Settings = BTreeMap<String, Setting>;

/// One `Match` block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) criteria: Vec<Criterion>,
    pub(super) settings: Settings,
}

/// A whole configuration.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) global: Settings,
    pub(super) blocks: Vec<Block>,
    /// Why it is not known to be what sshd makes of it: sshd refuses it, or a part could not be read.
    pub(super) gap: Option<Gap>,
}

/// Reads the configuration at `path` of `host`; relative includes are below `/etc/ssh`.
pub(super) fn read(host: &dyn Host, path: &Path) -> Config {
    let mut reader = Reader { host, config: Config::default(), lines: 0, files: 0, bytes: 0 };
    let outcome = reader.file(path, None, 0);
    let Reader { mut config, .. } = reader;
    config.gap = outcome.err();
    config.blocks.retain(|block| !block.settings.is_empty());
    config
}

struct Reader<'a> {
    host: &'a dyn Host,
    config: Config,
    lines: usize,
    files: usize,
    bytes: usize,
}

impl Reader<'_> {
    /// Reads one file whose lines belong to `block` until its first `Match`.
    fn file(&mut self, path: &Path, block: Option<usize>, depth: u32) -> Result<(), Gap> {
        let name = path_text(path);
        self.files += 1;
        if depth > MAX_DEPTH || self.files > MAX_FILES {
            return Err(Gap::new(GapKind::TooLarge, name, "includes too deep or too many files"));
        }
        let bytes = read_small(self.host, path)?;
        let outer = self.criteria(block);
        let mut current = block;
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            self.lines += 1;
            if self.lines > MAX_LINES {
                return Err(Gap::new(GapKind::TooLarge, name, format!("more than {MAX_LINES} lines in all")));
            }
            if line.len() > MAX_LINE {
                let why = format!("line {} is longer than {} KiB", number + 1, MAX_LINE / 1024);
                return Err(Gap::new(GapKind::TooLarge, name, why));
            }
            let refused = |why: String| Gap::malformed(name.clone(), format!("line {}: {why}", number + 1));
            let Some((keyword, rest)) = split(line) else { continue };
            let words = words(&rest).ok_or_else(|| refused("a quote is not closed".into()))?;
            if words.is_empty() {
                return Err(refused(format!("`{keyword}` has no value")));
            }
            match keyword.to_ascii_lowercase().as_str() {
                "include" => {
                    let before = self.config.blocks.len();
                    for pattern in &words {
                        for found in self.glob(pattern)? {
                            self.file(&found, current, depth + 1)?;
                        }
                    }
                    if current.is_some() && self.config.blocks.len() > before {
                        // Blocks inside come before the rest of this one.
                        current = Some(self.block(self.criteria(current)));
                    }
                }
                "match" => {
                    let mut all = outer.clone();
                    all.extend(criteria::parse(&rest).map_err(refused)?);
                    current = Some(self.block(all));
                }
                _ => self.set(&keyword, &words, &rest, current, &name).map_err(refused)?,
            }
            if self.bytes > MAX_BYTES {
                return Err(Gap::new(GapKind::TooLarge, name, format!("more than {MAX_BYTES} bytes of settings")));
            }
        }
        Ok(())
    }

    fn criteria(&self, block: Option<usize>) -> Vec<Criterion> {
        block.and_then(|block| self.config.blocks.get(block)).map(|block| block.criteria.clone()).unwrap_or_default()
    }

    fn block(&mut self, criteria: Vec<Criterion>) -> usize {
        self.bytes += criteria.iter().map(|criterion| criterion.wanted.len() + 16).sum::<usize>();
        self.config.blocks.push(Block { criteria, settings: Settings::new() });
        self.config.blocks.len() - 1
    }

    fn set(
        &mut self,
        keyword: &str,
        words: &[String],
        rest: &str,
        block: Option<usize>,
        file: &str,
    ) -> Result<(), String> {
        let keyword = keywords::canonical(keyword);
        let known = keywords::find(&keyword);
        let values = keywords::values(known.kind, words, rest).map_err(|why| format!("`{keyword}` {why}"))?;
        if block.is_some() && !known.in_match {
            return Err(format!("`{keyword}` is not allowed within a Match block"));
        }
        if known.kind == Kind::Ignored {
            return Ok(());
        }
        self.bytes += keyword.len() + values.iter().map(|value| value.len() + 8).sum::<usize>();
        let settings = match block.and_then(|block| self.config.blocks.get_mut(block)) {
            Some(block) => &mut block.settings,
            None => &mut self.config.global,
        };
        add(settings, keyword, Setting { values, file: file.to_owned() });
        Ok(())
    }

    /// The files a pattern of `Include` names, as glob(3) finds them: sorted by bytes, hidden ones only where asked for.
    fn glob(&self, pattern: &str) -> Result<Vec<PathBuf>, Gap> {
        let absolute = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
        let mut found = vec![PathBuf::from("/")];
        for part in absolute.split('/').filter(|part| !part.is_empty()) {
            let mut next = Vec::new();
            for folder in found {
                if !part.contains(['*', '?', '[', '\\']) {
                    next.push(folder.join(part));
                    continue;
                }
                // Brackets and escapes are rare; what does not compile is no pattern to glob(3) either, and finds nothing.
                let matcher = match part.contains(['[', '\\']) {
                    true => globset::GlobBuilder::new(part).literal_separator(true).build().ok(),
                    false => None,
                };
                let matcher = matcher.map(|glob| glob.compile_matcher());
                let matched = |name: &Path| match &matcher {
                    Some(matcher) => matcher.is_match(name),
                    None => criteria::matches(name.as_os_str().as_bytes(), part.as_bytes()),
                };
                let entries = match self.host.list(&folder) {
                    Ok(entries) => entries,
                    Err(gap) if gap.is_missing() => continue,
                    Err(gap) => return Err(gap),
                };
                for entry in entries {
                    let hidden = entry.name.as_bytes().starts_with(b".") && !part.starts_with('.');
                    if !hidden && entry.kind != EntryKind::Other && matched(Path::new(&entry.name)) {
                        next.push(folder.join(&entry.name));
                    }
                }
            }
            found = next;
        }
        let mut there = Vec::new();
        for path in found {
            match self.host.stat(&path) {
                Ok(_) => there.push(path),
                Err(gap) if gap.is_missing() => {}
                Err(gap) => return Err(gap),
            }
        }
        Ok(there)
    }
}

/// Adds a line's values as its keyword says: the first counts, or the last, or all.
pub(super) fn add(settings: &mut Settings, keyword: String, mut new: Setting) {
    let known = keywords::find(&keyword);
    if known.kind == Kind::Startups {
        // One number leaves the rate as an earlier line set it.
        let rate = settings.get(&keyword).and_then(|old| old.values.first()?.split(':').nth(1)).unwrap_or("30");
        for value in new.values.iter_mut().filter(|value| !value.contains(':')) {
            *value = format!("{value}:{rate}:{value}");
        }
    }
    let Some(old) = settings.get_mut(&keyword) else {
        settings.insert(keyword, new);
        return;
    };
    if known.last {
        *old = new;
    } else if matches!(known.kind, Kind::Added | Kind::AddedOne) {
        old.values.extend(new.values);
    } else if known.kind == Kind::Rekey && old.values.len() == 1 {
        old.values.extend(new.values.into_iter().skip(1));
    } else if known.kind == Kind::Subsystem {
        let name = |value: &str| value.split(' ').next().map(str::to_owned);
        for value in new.values {
            if !old.values.iter().any(|known| name(known) == name(&value)) {
                old.values.push(value);
            }
        }
    }
}

/// The keyword and the rest of a line; `None` for an empty line or a comment.
fn split(line: &[u8]) -> Option<(String, String)> {
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = path_text(Path::new(std::ffi::OsStr::from_bytes(line)));
    let blank = [' ', '\t', '\r', '\n'];
    let text = text.trim_start_matches(blank).trim_end_matches([' ', '\t', '\r', '\n', '\x0c']);
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (keyword, rest) = text.split_at(text.find([' ', '\t', '\r', '\n', '=', '"']).unwrap_or(text.len()));
    let (keyword, rest) = match rest.strip_prefix('"') {
        None => (keyword.to_owned(), rest),
        // A quote may hold all of a keyword or its end. One that is not closed makes sshd pass over the line.
        Some(quoted) => match quoted.split_once('"') {
            Some((quoted, rest)) => (format!("{keyword}{quoted}"), rest),
            None => return None,
        },
    };
    // One `=` may stand between the two, with or without blanks.
    let rest = rest.trim_start_matches(blank);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(blank);
    Some((keyword, rest.to_owned()))
}

/// The words of a line as argv_split of misc.c makes them: quotes of both kinds, few escapes, `#` begins a comment where a
/// word could begin. `None` where a quote is not closed.
fn words(rest: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = rest.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match chars.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    let escaped = |c: &char| matches!(c, '\'' | '"' | '\\') || (quote.is_none() && *c == ' ');
                    word.push(chars.next_if(escaped).unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}
