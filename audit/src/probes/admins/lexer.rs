//! Sudoers text into tokens, as sudo takes it apart.
//!
//! The language (sudoers(5), "SUDOERS FILE FORMAT") cannot be split on blanks: which characters end a word depends on
//! what stands before it, a `#` begins a comment, a user id or an include, and a backslash at the end of a line joins
//! lines everywhere but in a comment. So the lexer keeps a [`Mode`], and where several readings of the next bytes are
//! possible the longest wins, the one named first among equals. Whatever it cannot read is a [`Fault`].
//! It reads bytes: names in other encodings are legal.

use super::readings::{Best, Reading};
use super::scan::{comment, is_blank, is_digest, run, unescape, unescape_path, value};
use super::token::{Fault, Token};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Start,
    /// Before the settings of a `Defaults` line: its scope.
    Scope,
    Setting,
    Value,
    Path,
    Digest,
    Include,
}

/// Takes tokens off a text.
pub(super) struct Lexer<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) mode: Mode,
    /// What follows a quoted string or a path.
    pub(super) resume: Mode,
    pub(super) line: usize,
    pub(super) joined: bool,
    digest_bytes: usize,
    /// No regular expression ends before here: known from an earlier, vain search.
    pub(super) no_regex_before: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            mode: Mode::Start,
            resume: Mode::Start,
            line: 1,
            joined: false,
            digest_bytes: 0,
            no_regex_before: 0,
        }
    }

    /// The line the next token is looked for on, from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The next token; `None` at the end. A last line without its newline is given one.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Fault> {
        loop {
            if self.at >= self.text.len() {
                return Ok(None);
            }
            let token = match self.mode {
                Mode::Start | Mode::Scope | Mode::Path | Mode::Digest => self.general()?,
                Mode::Setting | Mode::Value => self.setting()?,
                Mode::Include => self.include()?,
            };
            if token.is_some() {
                return Ok(token);
            }
        }
    }

    pub(super) fn fault(&self, why: &'static str) -> Fault {
        Fault { line: self.line, why }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, length: usize) -> &'a [u8] {
        let end = self.at.saturating_add(length).min(self.text.len());
        let taken = self.text.get(self.at..end).unwrap_or_default();
        self.at = end;
        taken
    }

    /// Takes the best reading.
    pub(super) fn read(&mut self, Best(length, reading): Best) -> Result<Option<Token>, Fault> {
        let Some(reading) = reading else {
            let fault = self.fault("no such sign here");
            self.at += 1;
            return Err(fault);
        };
        let line_only = matches!(reading, Reading::Include { .. } | Reading::Defaults(..) | Reading::Aliases(_));
        if line_only && self.joined {
            let fault = self.fault("invalid line continuation");
            self.at += length;
            return Err(fault);
        }
        let token = match reading {
            Reading::Include { dir, mark } => {
                self.at += mark;
                self.mode = Mode::Include;
                return Ok(Some(if dir { Token::IncludeDir } else { Token::Include }));
            }
            Reading::Defaults(scope, keep) => {
                self.at += keep;
                self.mode = Mode::Scope;
                return Ok(Some(Token::Defaults(scope)));
            }
            Reading::Quote => {
                self.at += 1;
                self.resume = self.mode;
                return self.quoted().map(Some);
            }
            Reading::Command => return self.command(length).map(Some),
            Reading::Blank => {
                self.at += length;
                return Ok(None);
            }
            Reading::ScopeEnd => {
                self.at += length;
                self.mode = Mode::Setting;
                return Ok(None);
            }
            Reading::Joined => {
                self.at += length;
                self.line += 1;
                self.joined = true;
                return Ok(None);
            }
            Reading::Newline | Reading::Comment => {
                let taken = self.take(length);
                self.line += usize::from(taken.ends_with(b"\n"));
                self.mode = Mode::Start;
                self.joined = false;
                return Ok(Some(Token::Newline));
            }
            Reading::Nots => {
                self.at += length;
                return Ok((length % 2 == 1).then_some(Token::Not));
            }
            Reading::Empty => {
                let fault = self.fault("an empty group or netgroup");
                self.at += length;
                return Err(fault);
            }
            Reading::Sign(b'(') => Token::Open,
            Reading::Sign(b')') => Token::Close,
            Reading::Sign(b'=') => Token::Equals,
            Reading::Sign(b':') => Token::Colon,
            Reading::Sign(_) | Reading::ListComma => Token::Comma,
            Reading::Aliases(kind) => Token::Aliases(kind),
            Reading::Tag(tag) => Token::Tag(tag),
            Reading::Option(option) => {
                if option == "CWD" || option == "CHROOT" {
                    self.resume = self.mode;
                    self.mode = Mode::Path;
                }
                Token::Option(option)
            }
            Reading::All => Token::All,
            Reading::DigestKind(kind, length) => {
                self.digest_bytes = length;
                self.mode = Mode::Digest;
                Token::DigestKind(kind)
            }
            Reading::Netgroup => Token::Netgroup(unescape(self.take(length))),
            Reading::Group => Token::Group(unescape(self.take(length))),
            Reading::Network => Token::Network(self.take(length).to_vec()),
            Reading::Alias => Token::Alias(String::from_utf8_lossy(self.take(length)).into_owned()),
            Reading::BareCommand => Token::Command(unescape_path(self.take(length)), None),
            Reading::Digest => {
                self.mode = Mode::Start;
                let digest = self.take(length);
                if !is_digest(digest, self.digest_bytes) {
                    return Err(self.fault("a digest of the wrong length"));
                }
                Token::Digest(digest.to_vec())
            }
            Reading::Word => {
                if self.mode == Mode::Path {
                    self.mode = self.resume;
                }
                Token::Word(unescape(self.take(length)))
            }
        };
        if matches!(
            reading,
            Reading::Sign(_)
                | Reading::ListComma
                | Reading::Aliases(_)
                | Reading::Tag(_)
                | Reading::Option(_)
                | Reading::All
                | Reading::DigestKind(..)
        ) {
            self.at += length;
        }
        Ok(Some(token))
    }

    /// The settings of a `Defaults` line.
    fn setting(&mut self) -> Result<Option<Token>, Fault> {
        let rest = self.rest();
        let mut best = Best(0, None);
        if self.mode == Mode::Setting {
            let length = run(rest, |b| b.is_ascii_lowercase() || b == b'_');
            if length > 0 {
                self.mode = Mode::Value;
                return Ok(Some(Token::Setting(String::from_utf8_lossy(self.take(length)).into_owned())));
            }
        } else {
            let sign = match rest {
                [b',', ..] => Some((1, Token::Comma, Mode::Setting)),
                [b'=', ..] => Some((1, Token::Equals, Mode::Value)),
                [b'+', b'=', ..] => Some((2, Token::Plus, Mode::Value)),
                [b'-', b'=', ..] => Some((2, Token::Minus, Mode::Value)),
                [..] => None,
            };
            if let Some((length, token, mode)) = sign {
                self.at += length;
                self.mode = mode;
                return Ok(Some(token));
            }
            best.offer(usize::from(rest.first() == Some(&b'"')), Reading::Quote);
            best.offer(value(rest), Reading::Word);
        }
        self.common(&mut best);
        best.offer(comment(rest), Reading::Comment);
        self.read(best)
    }

    /// The path after an include.
    fn include(&mut self) -> Result<Option<Token>, Fault> {
        let rest = self.rest();
        let mut best = Best(0, None);
        if let Some(first) = rest.first()
            && *first != b'"'
            && !first.is_ascii_whitespace()
        {
            let mut length = 0;
            while let Some(byte) = rest.get(length) {
                let escaped = *byte == b'\\' && rest.get(length + 1).copied().is_some_and(is_blank);
                if byte.is_ascii_whitespace() || *byte == 0x0b {
                    break;
                }
                length += 1 + usize::from(escaped);
            }
            self.mode = Mode::Start;
            return Ok(Some(Token::Word(unescape(self.take(length)))));
        }
        if rest.first() == Some(&b'"') {
            self.at += 1;
            self.resume = Mode::Start;
            return self.quoted().map(Some);
        }
        self.common(&mut best);
        self.read(best)
    }
}
