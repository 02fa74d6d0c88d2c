//! apt's configuration: `A::B "value";` and `A { B "value"; };`, flattened to keys and values.

use crate::host::{Gap, Host, gap::optional, read_text};

/// The deepest nesting that is followed.
const MAX_DEPTH: usize = 32;

/// Keys in lower case, in the order they were said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Config(Vec<(String, String)>);

impl Config {
    /// All of apt's configuration: `apt.conf.d`, then `apt.conf`.
    pub fn read(host: &dyn Host) -> Result<Self, Gap> {
        let mut config = Self::default();
        for path in super::parts(host, "/etc/apt/apt.conf.d", &["conf"], true)? {
            config.add(&read_text(host, &path)?);
        }
        if let Some(text) = optional(read_text(host, "/etc/apt/apt.conf"))? {
            config.add(&text);
        }
        Ok(config)
    }

    /// The value of `key` (in lower case), said last.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// Every value under `key` as a list.
    pub fn list<'a>(&'a self, key: &str) -> Vec<&'a str> {
        let key = format!("{key}::");
        self.0.iter().filter(|(own, _)| *own == key).map(|(_, value)| value.as_str()).collect()
    }

    /// Adds what `text` says.
    pub fn add(&mut self, text: &str) {
        let mut scopes: Vec<String> = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        for token in (Tokens { rest: text }) {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open => {
                    let name = words.first().map_or(String::new(), |word| word.text.to_lowercase());
                    self.say(&scopes, &std::mem::take(&mut words));
                    if scopes.len() >= MAX_DEPTH {
                        return;
                    }
                    scopes.push(name);
                }
                Token::Close => {
                    self.say(&scopes, &std::mem::take(&mut words));
                    scopes.pop();
                }
                Token::End => self.say(&scopes, &std::mem::take(&mut words)),
            }
        }
    }

    fn say(&mut self, scopes: &[String], words: &[Word]) {
        let scope = scopes.join("::");
        let (key, value) = match words {
            [] => return,
            // A text without a name is one of a list.
            [only] if only.quoted => (format!("{scope}::"), &only.text),
            [clear, key, ..] if clear.text.eq_ignore_ascii_case("#clear") => {
                let key = key.text.to_lowercase();
                self.0.retain(|(own, _)| *own != key && !own.starts_with(&format!("{key}::")));
                return;
            }
            [name, rest @ ..] => {
                let name = name.text.to_lowercase();
                let Some(value) = rest.first() else { return };
                (if scope.is_empty() { name } else { format!("{scope}::{name}") }, &value.text)
            }
        };
        self.0.push((key, value.clone()));
    }
}

#[derive(Debug)]
struct Word {
    text: String,
    quoted: bool,
}

enum Token {
    Word(Word),
    Open,
    Close,
    End,
}

struct Tokens<'a> {
    rest: &'a str,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            self.rest = self.rest.trim_start();
            let after = |rest: &'_ str, end: &str| rest.split_once(end).map_or("", |(_, after)| after).to_owned();
            if self.rest.starts_with("//") || (self.rest.starts_with('#') && !self.rest.starts_with("#clear")) {
                let left = after(self.rest, "\n").len();
                self.rest = self.rest.get(self.rest.len() - left..)?;
                continue;
            }
            if self.rest.starts_with("/*") {
                let left = after(self.rest, "*/").len();
                self.rest = self.rest.get(self.rest.len() - left..)?;
                continue;
            }
            break;
        }
        let first = self.rest.chars().next()?;
        let (token, used) = match first {
            '{' => (Token::Open, 1),
            '}' => (Token::Close, 1),
            ';' => (Token::End, 1),
            '"' => {
                let inner = self.rest.get(1..)?;
                let end = inner.find('"').unwrap_or(inner.len());
                (Token::Word(Word { text: inner.get(..end)?.to_owned(), quoted: true }), (end + 2).min(self.rest.len()))
            }
            _ => {
                let end = self.rest.find(|c: char| c.is_whitespace() || "{};\"".contains(c)).unwrap_or(self.rest.len());
                (Token::Word(Word { text: self.rest.get(..end)?.to_owned(), quoted: false }), end)
            }
        };
        self.rest = self.rest.get(used..)?;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_it_and_comments_are_understood() {
        let mut config = Config::default();
        config.add(
            "// APT::Periodic::Unattended-Upgrade \"0\";\n# x\n/* APT::Y \"1\"; */\nAPT::Periodic::Unattended-Upgrade \"1\";\n\
             APT { Default-Release \"bookworm\"; Periodic { Update-Package-Lists 7; }; };\n\
             Unattended-Upgrade::Origins-Pattern { \"origin=Debian\"; \"a;b\"; };\n",
        );
        assert_eq!(config.get("apt::periodic::unattended-upgrade"), Some("1"));
        assert_eq!(config.get("apt::periodic::update-package-lists"), Some("7"));
        assert_eq!(config.get("apt::default-release"), Some("bookworm"));
        assert_eq!(config.list("unattended-upgrade::origins-pattern"), ["origin=Debian", "a;b"]);
        config.add("APT::Default-Release \"trixie\"; #clear Unattended-Upgrade;\n#clear Unattended-Upgrade;");
        assert_eq!(config.get("apt::default-release"), Some("trixie"));
        assert!(config.list("unattended-upgrade::origins-pattern").is_empty());
    }

    #[test]
    fn garbage_ends() {
        for text in ["\"", "{{{{", "}}}", "/*", "//", "a \"b", ";;;", "#", &"a{".repeat(100)] {
            Config::default().add(text);
        }
    }
}
