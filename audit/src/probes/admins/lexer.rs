//! Sudoers text into tokens, as sudo takes it apart.
//!
//! The language (sudoers(5), "SUDOERS FILE FORMAT") cannot be split on blanks: which characters end a word depends on
//! what stands before it, a `#` begins a comment, a user id or an include, and a backslash at the end of a line joins
//! lines everywhere but in a comment. So the lexer keeps a [`Mode`], and where several readings of the next bytes are
//! possible the longest wins, the one named first among equals. Whatever it cannot read is a [`Fault`].
//! It reads bytes: names in other encodings are legal.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::scan::{comment, id, is_blank, is_digest, joined, newline, path, run, unescape, unescape_path, value, word};

/// Something sudo would not understand, and on which line it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// The namespaces of aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AliasKind {
    User,
    Runas,
    Host,
    Command,
}

/// What a `Defaults` line is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Everywhere,
    Users,
    Hosts,
    Runas,
    Commands,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Newline,
    Comma,
    Equals,
    Plus,
    Minus,
    Colon,
    Open,
    Close,
    Not,
    All,
    /// A name of upper-case letters, digits and underscores.
    Alias(String),
    Word(Vec<u8>),
    /// `%name`, with its percent sign.
    Group(Vec<u8>),
    /// `+name`, with its plus sign.
    Netgroup(Vec<u8>),
    Network(Vec<u8>),
    Command(Vec<u8>, Option<Vec<u8>>),
    /// The tag as written: `NOPASSWD`.
    Tag(&'static str),
    /// The option as written: `CWD`.
    Option(&'static str),
    DigestKind(&'static str),
    Digest(Vec<u8>),
    Aliases(AliasKind),
    Defaults(Scope),
    Setting(String),
    Include,
    IncludeDir,
}

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

const TAGS: [&str; 16] = [
    "NOPASSWD",
    "PASSWD",
    "NOEXEC",
    "EXEC",
    "INTERCEPT",
    "NOINTERCEPT",
    "SETENV",
    "NOSETENV",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "MAIL",
    "NOMAIL",
    "FOLLOW",
    "NOFOLLOW",
];
const OPTIONS: [&str; 8] = ["TIMEOUT", "NOTBEFORE", "NOTAFTER", "CWD", "CHROOT", "ROLE", "TYPE", "APPARMOR_PROFILE"];
const DIGESTS: [(&str, usize); 4] = [("sha224", 28), ("sha256", 32), ("sha384", 48), ("sha512", 64)];
const ALIASES: [(&str, AliasKind); 5] = [
    ("Host_Alias", AliasKind::Host),
    ("Cmnd_Alias", AliasKind::Command),
    ("Cmd_Alias", AliasKind::Command),
    ("User_Alias", AliasKind::User),
    ("Runas_Alias", AliasKind::Runas),
];

/// What the next bytes may be read as.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Blank,
    Joined,
    Newline,
    Comment,
    Nots,
    Sign(u8),
    ListComma,
    ScopeEnd,
    Include { dir: bool, mark: usize },
    Defaults(Scope, usize),
    Aliases(AliasKind),
    Tag(&'static str),
    Option(&'static str),
    Empty,
    Netgroup,
    Group,
    Network,
    All,
    Alias,
    BareCommand,
    Command,
    DigestKind(&'static str, usize),
    Digest,
    Quote,
    Word,
}

/// The longest reading so far.
struct Best(usize, Option<Reading>);

impl Best {
    fn offer(&mut self, length: usize, reading: Reading) {
        if length > self.0 {
            *self = Self(length, Some(reading));
        }
    }
}

/// Takes tokens off a text.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    pub(super) at: usize,
    pub(super) mode: Mode,
    /// What follows a quoted string or a path.
    pub(super) resume: Mode,
    pub(super) line: usize,
    pub(super) joined: bool,
    digest_bytes: usize,
    /// No regular expression ends before here: known from an earlier, vain search.
    no_regex_before: usize,
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

    /// Whether a line of the file begins here.
    fn begins_line(&self) -> bool {
        self.at == 0 || self.at.checked_sub(1).and_then(|before| self.text.get(before)) == Some(&b'\n')
    }

    fn common(&self, best: &mut Best) {
        let rest = self.rest();
        best.offer(run(rest, |byte| byte == b'!'), Reading::Nots);
        best.offer(newline(rest), Reading::Newline);
        best.offer(run(rest, is_blank), Reading::Blank);
        best.offer(joined(rest), Reading::Joined);
    }

    fn general(&mut self) -> Result<Option<Token>, Fault> {
        let rest = self.rest();
        let start = self.mode == Mode::Start;
        let scope = self.mode == Mode::Scope;
        let mut best = Best(0, None);
        if scope {
            let blanks = run(rest, is_blank);
            if rest.get(blanks) == Some(&b',') {
                let more = rest.get(blanks + 1..).unwrap_or_default();
                best.offer(blanks + 1 + run(more, is_blank), Reading::ListComma);
            }
            best.offer(blanks, Reading::ScopeEnd);
        }
        if self.mode == Mode::Digest {
            best.offer(run(rest, |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)), Reading::Digest);
        }
        if start {
            self.line_openers(rest, &mut best);
        }
        for tag in TAGS {
            if let Some(after) = rest.strip_prefix(tag.as_bytes()) {
                let blanks = run(after, is_blank);
                if after.get(blanks) == Some(&b':') {
                    best.offer(tag.len() + blanks + 1, Reading::Tag(tag));
                }
            }
        }
        if start || scope {
            for empty in [b"+".as_slice(), b"%", b"%:"] {
                if rest.starts_with(empty) {
                    best.offer(empty.len(), Reading::Empty);
                }
            }
        }
        if let Some(after) = rest.strip_prefix(b"+") {
            let length = word(after);
            best.offer(if length == 0 { 0 } else { length + 1 }, Reading::Netgroup);
        }
        if let Some(after) = rest.strip_prefix(b"%") {
            for skip in [0, usize::from(after.first() == Some(&b':'))] {
                let name = after.get(skip..).unwrap_or_default();
                let length = word(name).max(id(name));
                best.offer(if length == 0 { 0 } else { 1 + skip + length }, Reading::Group);
            }
        }
        best.offer(self.network(rest)?, Reading::Network);
        if rest.starts_with(b"ALL") {
            best.offer(3, Reading::All);
        }
        if start {
            for option in OPTIONS {
                if rest.starts_with(option.as_bytes()) {
                    best.offer(option.len(), Reading::Option(option));
                }
            }
        }
        if rest.first().is_some_and(u8::is_ascii_uppercase) {
            let name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            best.offer(run(rest, name), Reading::Alias);
        }
        let named: usize =
            ["sudoedit", "list"].iter().find(|name| rest.starts_with(name.as_bytes())).map_or(0, |n| n.len());
        let command = path(rest).max(self.regex()).max(named);
        if scope {
            best.offer(command, Reading::BareCommand);
        }
        for (kind, length) in DIGESTS {
            if rest.starts_with(kind.as_bytes()) {
                best.offer(kind.len(), Reading::DigestKind(kind, length));
            }
        }
        if self.mode == Mode::Path {
            best.offer(path(rest).max(word(rest)), Reading::Word);
        }
        best.offer(command, Reading::Command);
        if start || scope {
            best.offer(usize::from(rest.first() == Some(&b'"')), Reading::Quote);
            best.offer(id(rest).max(word(rest)), Reading::Word);
        }
        if let Some(sign) = rest.first().filter(|sign| b"(),=:".contains(sign)) {
            best.offer(1, Reading::Sign(*sign));
        }
        self.common(&mut best);
        if start {
            best.offer(comment(rest), Reading::Comment);
        }
        self.read(best)
    }

    /// What only the beginning of a line may hold, and `@include`.
    fn line_openers(&self, rest: &[u8], best: &mut Best) {
        for (mark, dir) in [("@include", false), ("@includedir", true)] {
            if rest.starts_with(mark.as_bytes()) {
                best.offer(mark.len(), Reading::Include { dir, mark: mark.len() });
            }
        }
        if !self.begins_line() {
            return;
        }
        for (mark, dir) in [("#include", false), ("#includedir", true)] {
            if rest.strip_prefix(mark.as_bytes()).is_some_and(|after| after.first().copied().is_some_and(is_blank)) {
                let whole = run(rest, |byte| byte != b'\n');
                best.offer(whole + 1, Reading::Include { dir, mark: mark.len() });
            }
        }
        let blanks = run(rest, is_blank);
        let word_here = rest.get(blanks..).unwrap_or_default();
        if let Some(after) = word_here.strip_prefix(b"Defaults") {
            let plain = blanks + "Defaults".len();
            best.offer(plain, Reading::Defaults(Scope::Everywhere, plain));
            let scope = match after.first() {
                Some(b':') => Some(Scope::Users),
                Some(b'@') => Some(Scope::Hosts),
                Some(b'>') => Some(Scope::Runas),
                Some(b'!') => Some(Scope::Commands),
                Some(_) | None => None,
            };
            if let Some(scope) = scope {
                let gap = 1 + run(after.get(1..).unwrap_or_default(), is_blank);
                let nots = run(after.get(gap..).unwrap_or_default(), |byte| byte == b'!');
                let quote = usize::from(after.get(gap + nots) == Some(&b'"'));
                let name = after.get(gap + nots + quote..).unwrap_or_default();
                let length = word(name).max(id(name));
                if length > 0 {
                    best.offer(plain + gap + nots + quote + length, Reading::Defaults(scope, plain + gap));
                }
            }
        }
        for (name, kind) in ALIASES {
            if word_here.starts_with(name.as_bytes()) {
                best.offer(blanks + name.len(), Reading::Aliases(kind));
            }
        }
    }

    fn read(&mut self, Best(length, reading): Best) -> Result<Option<Token>, Fault> {
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

    /// The length of a command given as a regular expression here, or 0. A vain search is remembered, so that a line of
    /// nothing but `^` costs one pass.
    fn regex(&mut self) -> usize {
        let rest = self.rest();
        if rest.first() != Some(&b'^') || self.at < self.no_regex_before {
            return 0;
        }
        let mut end = 0;
        let mut at = 1;
        while let Some(byte) = rest.get(at) {
            match (byte, rest.get(at + 1)) {
                (b'\\', Some(b'$')) => {
                    end = at + 2;
                    at += 2;
                }
                (b'\\', Some(b'#')) => at += 2,
                (b'$', _) => return at + 1,
                (b'#' | b'\r' | b'\n', _) => break,
                (_, _) => at += 1,
            }
        }
        if end == 0 {
            self.no_regex_before = self.at + at;
        }
        end
    }

    /// The length of an address with or without its mask, or 0.
    fn network(&mut self, rest: &[u8]) -> Result<usize, Fault> {
        if !rest.first().is_some_and(|b| b.is_ascii_hexdigit() || *b == b':') {
            return Ok(0);
        }
        // 45 characters hold the longest address; more are no address.
        let head = rest.get(..rest.len().min(46)).unwrap_or_default();
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).unwrap_or_default();
        let (length, bits) = {
            let four = run(head, |b| b.is_ascii_digit() || b == b'.');
            let six = run(head, |b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
            let candidate = head.get(..six).unwrap_or_default();
            if candidate.iter().filter(|b| **b == b':').count() >= 2 {
                if text(candidate).parse::<Ipv6Addr>().is_err() {
                    let fault = self.fault("an invalid IPv6 address");
                    self.at += six;
                    return Err(fault);
                }
                (six, 128)
            } else if text(head.get(..four).unwrap_or_default()).parse::<Ipv4Addr>().is_ok() {
                (four, 32)
            } else {
                return Ok(0);
            }
        };
        let Some(mask) = head.get(length..).and_then(|after| after.strip_prefix(b"/")) else { return Ok(length) };
        let digits = run(mask, |b| b.is_ascii_digit());
        let dotted = run(mask, |b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
        let address = text(mask.get(..dotted).unwrap_or_default());
        let whole = if bits == 32 { address.parse::<Ipv4Addr>().is_ok() } else { address.parse::<Ipv6Addr>().is_ok() };
        if whole {
            return Ok(length + 1 + dotted);
        }
        let number = text(mask.get(..digits).unwrap_or_default());
        let plain = !(number.len() > 1 && number.starts_with('0'));
        let fits = plain && number.parse::<u32>().is_ok_and(|number| number <= bits);
        Ok(if fits { length + 1 + digits } else { length })
    }
}
