//! What the next bytes of sudoers text may be read as: the longest wins, the one offered first among equals.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::lexer::{Lexer, Mode};
use super::scan::{comment, id, is_blank, joined, newline, path, run, word};
use super::token::{AliasKind, Fault, Scope, Token};

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
pub(super) enum Reading {
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
pub(super) struct Best(pub(super) usize, pub(super) Option<Reading>);

impl Best {
    pub(super) fn offer(&mut self, length: usize, reading: Reading) {
        if length > self.0 {
            *self = Self(length, Some(reading));
        }
    }
}

impl Lexer<'_> {
    /// Outside settings and paths: every reading there is, and the best of them taken.
    pub(super) fn general(&mut self) -> Result<Option<Token>, Fault> {
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

    /// Whether a line of the file begins here.
    fn begins_line(&self) -> bool {
        self.at == 0 || self.at.checked_sub(1).and_then(|before| self.text.get(before)) == Some(&b'\n')
    }

    /// What may stand everywhere.
    pub(super) fn common(&self, best: &mut Best) {
        let rest = self.rest();
        best.offer(run(rest, |byte| byte == b'!'), Reading::Nots);
        best.offer(newline(rest), Reading::Newline);
        best.offer(run(rest, is_blank), Reading::Blank);
        best.offer(joined(rest), Reading::Joined);
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
