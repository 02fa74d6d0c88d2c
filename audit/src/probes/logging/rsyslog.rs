//! Where rsyslog sends to: its legacy actions (`@host`, `@@host`), `omfwd` and `omrelp`. Sources: rsyslog.conf(5), and rsyslog's manual on
//! "Actions", "omfwd", "omrelp" and "include()".

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Item, elsewhere, files, read, target};
use crate::facts::Observed;
use crate::glob::Glob;
use crate::host::{Gap, GapKind, Host};

const MAX_FILES: usize = 256;
const MAX_FILE: usize = 1024 * 1024;

/// What is known while files are read, in the order rsyslog reads them.
struct Reading<'a> {
    host: &'a dyn Host,
    items: &'a mut Observed<Item>,
    read: BTreeSet<String>,
    /// `$ActionSendStreamDriverMode`, which holds for what follows.
    mode: bool,
    /// The default driver encrypts.
    driver: bool,
    /// Targets whose actions rely on the default driver, which may be set after them.
    waiting: Vec<(String, bool)>,
}

pub(super) fn collect(host: &dyn Host, items: &mut Observed<Item>) {
    let mut reading = Reading { host, items, read: BTreeSet::new(), mode: false, driver: false, waiting: Vec::new() };
    reading.file("/etc/rsyslog.conf");
    let Reading { items, driver, waiting, .. } = reading;
    for (place, tls) in waiting {
        target(items, "rsyslog", &place, tls && driver);
    }
}

impl Reading<'_> {
    fn file(&mut self, path: &str) {
        if !self.read.insert(path.to_owned()) {
            return;
        }
        if self.read.len() > MAX_FILES {
            let gap = Gap::new(GapKind::TooLarge, "/etc/rsyslog.conf", format!("more than {MAX_FILES} files"));
            return self.items.hide("target:", gap);
        }
        let Some(text) = read(self.host, Path::new(path), "target:", self.items) else { return };
        if text.len() > MAX_FILE {
            return self.items.hide("target:", Gap::new(GapKind::TooLarge, path, "larger than a MiB"));
        }
        let text = without_comments(&text);
        let mut rest = text.as_str();
        while !rest.trim_start().is_empty() {
            rest = rest.trim_start();
            if let Some((name, parameters, after)) = object(rest) {
                self.object(&name, &parameters);
                rest = after;
                continue;
            }
            // A word, up to the next blank: legacy lines are told by their words.
            let line_end = rest.find('\n').unwrap_or(rest.len());
            let (line, after) = rest.split_at_checked(line_end).unwrap_or((rest, ""));
            // An object may stand later in the line, after a condition.
            let start = ["action", "include", "global"].iter().filter_map(|name| later(line, name)).min();
            match start.and_then(|start| rest.split_at_checked(start)) {
                Some((before, object)) => {
                    self.line(before);
                    rest = object;
                }
                None => {
                    self.line(line);
                    rest = after;
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [directive, value, ..] if directive.starts_with('$') => match directive.to_ascii_lowercase().as_str() {
                "$includeconfig" => self.include(value),
                "$defaultnetstreamdriver" => self.driver = encrypts(value),
                "$actionsendstreamdrivermode" => self.mode = *value == "1",
                "$resetconfigvariables" => self.mode = false,
                _ => {}
            },
            _ => {
                // The action is the last word but for what follows a blank after `;`.
                for word in words.iter().filter(|word| word.starts_with('@') || word.starts_with(":omrelp:")) {
                    self.legacy(word);
                }
            }
        }
    }

    fn legacy(&mut self, word: &str) {
        let word = word.split(';').next().unwrap_or(word);
        let (protocol, rest) = match (word.strip_prefix(":omrelp:"), word.strip_prefix("@@"), word.strip_prefix('@')) {
            (Some(rest), _, _) => ("relp", rest),
            (_, Some(rest), _) => ("tcp", rest),
            (_, _, Some(rest)) => ("udp", rest),
            (None, None, None) => return,
        };
        // Options in parentheses: `(z9)`, `(o)`.
        let rest = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, after)) => (format!("[{host}]"), after.strip_prefix(':')),
            None => match rest.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (rest.to_owned(), None),
            },
        };
        if host.is_empty() {
            return;
        }
        let place = format!("{}:{}/{protocol}", host.to_lowercase(), port.unwrap_or("514"));
        self.waiting.push((place, self.mode && protocol == "tcp"));
    }

    fn object(&mut self, name: &str, parameters: &BTreeMap<String, String>) {
        let get = |key: &str| parameters.get(key).map(String::as_str);
        match name {
            "include" => match get("file") {
                Some(file) => self.include(file),
                None => self.items.hide("target:", Gap::malformed("/etc/rsyslog.conf", "an include without a file")),
            },
            "global" => {
                if let Some(driver) = get("defaultnetstreamdriver") {
                    self.driver = encrypts(driver);
                }
            }
            "action" => {
                let Some(host) = get("target") else { return };
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_lowercase() };
                let port = get("port").unwrap_or("514");
                match get("type").map(str::to_ascii_lowercase).as_deref() {
                    Some("omfwd") => {
                        let protocol = get("protocol").unwrap_or("udp").to_lowercase();
                        let place = format!("{host}:{port}/{protocol}");
                        let asked = get("streamdrivermode") == Some("1") && protocol == "tcp";
                        match get("streamdriver").or_else(|| get("streamdriver.name")) {
                            Some(driver) => target(self.items, "rsyslog", &place, asked && encrypts(driver)),
                            None => self.waiting.push((place, asked)),
                        }
                    }
                    Some("omrelp") => {
                        let tls = get("tls").is_some_and(|tls| tls.eq_ignore_ascii_case("on"));
                        target(self.items, "rsyslog", &format!("{host}:{port}/relp"), tls);
                    }
                    Some(_) | None => {}
                }
            }
            _ => {}
        }
    }

    fn include(&mut self, pattern: &str) {
        let pattern = pattern.trim_matches('"');
        let Some(name) = pattern.strip_prefix("/etc/rsyslog.d/").filter(|name| !name.contains('/')) else {
            return self.items.hide("target:", elsewhere(pattern));
        };
        let Ok(glob) = Glob::of_paths(if name.is_empty() { "*" } else { name }) else {
            return self.items.hide("target:", Gap::malformed(pattern, "not a pattern of files"));
        };
        for (name, path) in files(self.host, "/etc/rsyslog.d", "", "target:", self.items) {
            if glob.matches(&name) {
                self.file(&path);
            }
        }
    }
}

fn encrypts(driver: &str) -> bool {
    ["gtls", "ossl", "mbedtls"].iter().any(|known| driver.eq_ignore_ascii_case(known))
}

/// Where in `line`, after its beginning, an object called `name` begins.
fn later(line: &str, name: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let places = lower.match_indices(name).map(|(place, _)| place).filter(|place| *place > 0);
    let mut whole = places.filter(|place| {
        let before = lower.get(..*place).and_then(|before| before.chars().last());
        let after = lower.get(place + name.len()..).unwrap_or_default().trim_start();
        before.is_some_and(|before| before.is_whitespace() || before == '{') && after.starts_with('(')
    });
    whole.next()
}

/// `name(key="value" …)` at the beginning of `text`: its name and keys in lower case, and what follows.
fn object(text: &str) -> Option<(String, BTreeMap<String, String>, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    let mut rest = rest.trim_start_matches([' ', '\t']).strip_prefix('(')?;
    let mut parameters = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(')') {
            return Some((name.to_ascii_lowercase(), parameters, after));
        }
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let mut quoted = after.strip_prefix('"')?;
        let mut value = String::new();
        loop {
            let stop = quoted.find(['"', '\\'])?;
            let (taken, after) = quoted.split_at_checked(stop)?;
            value.push_str(taken);
            let mut characters = after.chars();
            if characters.next() == Some('"') {
                quoted = characters.as_str();
                break;
            }
            value.extend(characters.next());
            quoted = characters.as_str();
        }
        parameters.insert(key.trim().to_ascii_lowercase(), value);
        rest = quoted;
    }
}

/// The text without `#` and `/* */` comments outside quotes, continued lines joined.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut quote = None;
    while let Some(character) = characters.next() {
        match (quote, character) {
            (_, '\\') if characters.peek() == Some(&'\n') => {
                characters.next();
            }
            (Some(_), '\\') => {
                kept.push(character);
                kept.extend(characters.next());
            }
            // A quote that is left open ends with its line in what people write by hand.
            (Some(open), _) if character == open => {
                quote = None;
                kept.push(character);
            }
            (Some(_), _) => kept.push(character),
            (None, '"') => {
                quote = Some('"');
                kept.push(character);
            }
            (None, '#') => {
                for skipped in characters.by_ref() {
                    if skipped == '\n' {
                        break;
                    }
                }
                kept.push('\n');
            }
            // Not in the middle of a word: `$IncludeConfig /etc/rsyslog.d/*.conf`.
            (None, '/') if characters.peek() == Some(&'*') && !kept.ends_with(|last: char| !last.is_whitespace()) => {
                let mut before = ' ';
                for skipped in characters.by_ref() {
                    if before == '*' && skipped == '/' {
                        break;
                    }
                    before = skipped;
                }
                kept.push(' ');
            }
            (None, _) => kept.push(character),
        }
    }
    kept
}
