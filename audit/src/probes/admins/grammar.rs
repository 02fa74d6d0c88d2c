//! Tokens into lines: aliases, defaults, rules, includes (sudoers(5), "SUDOERS FILE FORMAT").
//!
//! A line that is not understood is a [`Fault`] and nothing else of it is kept, except the aliases that stood complete
//! before the fault; the lines after it are read on, as sudo itself does. What sudo carries along a list of commands
//! (tags, options, the run-as list) is carried here, so that each [`Spec`] stands by itself.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::lexer::Lexer;
use super::options::check_option;
use super::token::{AliasKind, Fault, Scope, Token};

/// What a list may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    All,
    Alias(String),
    /// A user, a host or a group (in a run-as list) by its name; `#1000` is an id.
    Name(Vec<u8>),
    /// `%group`, `%#gid`, `%:group`, with the percent sign.
    Group(Vec<u8>),
    /// `+netgroup`, with the plus sign.
    Netgroup(Vec<u8>),
    Network(Vec<u8>),
    /// A path (or pattern, `sudoedit`, `list`) and its arguments; `""` allows none.
    Command(Vec<u8>, Option<Vec<u8>>),
}

/// A member of a list, perhaps negated, perhaps held to digests (`sha256:…`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    pub(super) member: Member,
    pub(super) digests: Vec<String>,
    pub(super) negated: bool,
}

/// As whom commands run. Both empty: as the caller; users empty: as the caller, in another group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RunAs {
    pub(super) users: Vec<Listed>,
    pub(super) groups: Vec<Listed>,
}

/// One command of a rule with all that holds for it.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    /// `None`: as the default user, which is root unless `runas_default` says otherwise.
    pub(super) runas: Option<Rc<RunAs>>,
    pub(super) options: BTreeMap<&'static str, Vec<u8>>,
    pub(super) tags: Tags,
    pub(super) command: Listed,
}

/// The tags in force, by what they govern: the last of `NOPASSWD` and `PASSWD`, and so on.
#[derive(Debug, Clone, Default)]
pub(super) struct Tags {
    by_matter: BTreeMap<&'static str, &'static str>,
    /// `ALL` lets the caller set the environment without saying so, and does not hand that on.
    setenv_implied: bool,
}

impl Tags {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_matter.values().copied()
    }

    fn set(&mut self, tag: &'static str) {
        self.by_matter.insert(tag.strip_prefix("NO").unwrap_or(tag), tag);
    }
}

/// Hosts and what may be run there.
#[derive(Debug, Clone)]
pub(super) struct Privilege {
    pub(super) hosts: Vec<Listed>,
    pub(super) specs: Vec<Spec>,
}

/// One setting of a `Defaults` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) name: String,
    pub(super) how: How,
}

/// How a setting is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    On,
    Off,
    Is(Vec<u8>),
    Adds(Vec<u8>),
    Removes(Vec<u8>),
}

/// One line.
#[derive(Debug, Clone)]
pub(super) enum Line {
    Alias(AliasKind, String, Vec<Listed>, usize),
    Defaults(Scope, Vec<Listed>, Vec<Assigned>),
    Rule(Vec<Listed>, Vec<Privilege>),
    Include { path: Vec<u8>, folder: bool, line: usize },
    Fault(Fault),
}

/// All lines of a file.
pub(super) fn parse(text: &[u8]) -> Vec<Line> {
    let mut parser = Parser { lexer: Lexer::new(text), ahead: None };
    let mut lines = Vec::new();
    loop {
        match parser.line(&mut lines) {
            Ok(true) => {}
            Ok(false) => return lines,
            Err(fault) => {
                lines.push(Line::Fault(fault));
                parser.skip_line();
            }
        }
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Option<Option<Token>>,
}

impl Parser<'_> {
    fn peek(&mut self) -> Result<Option<&Token>, Fault> {
        if self.ahead.is_none() {
            self.ahead = Some(self.lexer.next()?);
        }
        Ok(self.ahead.as_ref().and_then(Option::as_ref))
    }

    fn next(&mut self) -> Result<Option<Token>, Fault> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    fn fault(&self, why: &'static str) -> Fault {
        Fault { line: self.lexer.line(), why }
    }

    fn takes(&mut self, wanted: &Token) -> Result<bool, Fault> {
        if self.peek()? == Some(wanted) {
            self.ahead = None;
            return Ok(true);
        }
        Ok(false)
    }

    fn must(&mut self, wanted: &Token, why: &'static str) -> Result<(), Fault> {
        if self.takes(wanted)? { Ok(()) } else { Err(self.fault(why)) }
    }

    /// Whether the line ends here; takes its end.
    fn ends(&mut self) -> Result<(), Fault> {
        match self.peek()? {
            None => Ok(()),
            Some(Token::Newline) => {
                self.ahead = None;
                Ok(())
            }
            Some(_) => Err(self.fault("the line should end here")),
        }
    }

    fn skip_line(&mut self) {
        loop {
            if let Ok(None | Some(Token::Newline)) = self.next() {
                return;
            }
        }
    }

    /// One line; `false` at the end of the text.
    fn line(&mut self, lines: &mut Vec<Line>) -> Result<bool, Fault> {
        match self.peek()? {
            None => return Ok(false),
            Some(Token::Newline) => {
                self.ahead = None;
                return Ok(true);
            }
            Some(Token::Aliases(kind)) => {
                let kind = *kind;
                self.ahead = None;
                self.aliases(kind, lines)?;
            }
            Some(Token::Defaults(scope)) => {
                let scope = *scope;
                self.ahead = None;
                lines.push(self.defaults(scope)?);
            }
            Some(mark @ (Token::Include | Token::IncludeDir)) => {
                let folder = *mark == Token::IncludeDir;
                self.ahead = None;
                let line = self.lexer.line();
                let Some(Token::Word(path)) = self.next()? else { return Err(self.fault("an include names a path")) };
                self.ends()?;
                lines.push(Line::Include { path, folder, line });
            }
            Some(_) => lines.push(self.rule()?),
        }
        Ok(true)
    }

    fn aliases(&mut self, kind: AliasKind, lines: &mut Vec<Line>) -> Result<(), Fault> {
        loop {
            let line = self.lexer.line();
            let Some(Token::Alias(name)) = self.next()? else { return Err(self.fault("an alias has a name")) };
            self.must(&Token::Equals, "an alias name is followed by `=`")?;
            let members = match kind {
                AliasKind::User | AliasKind::Runas => self.list(Self::user)?,
                AliasKind::Host => self.list(Self::host)?,
                AliasKind::Command => self.list(Self::command)?,
            };
            lines.push(Line::Alias(kind, name, members, line));
            if !self.takes(&Token::Colon)? {
                return self.ends();
            }
        }
    }

    fn defaults(&mut self, scope: Scope) -> Result<Line, Fault> {
        let bound = match scope {
            Scope::Everywhere => Vec::new(),
            Scope::Users | Scope::Runas => self.list(Self::user)?,
            Scope::Hosts => self.list(Self::host)?,
            Scope::Commands => self.list(Self::command)?,
        };
        let mut settings = Vec::new();
        loop {
            let off = self.takes(&Token::Not)?;
            let Some(Token::Setting(name)) = self.next()? else { return Err(self.fault("a setting has a name")) };
            let sign = match self.peek()? {
                Some(sign @ (Token::Equals | Token::Plus | Token::Minus)) => Some(sign.clone()),
                Some(_) | None => None,
            };
            let how = match sign {
                None if off => How::Off,
                None => How::On,
                Some(_) if off => return Err(self.fault("a negated setting has no value")),
                Some(sign) => {
                    self.ahead = None;
                    let Some(Token::Word(value)) = self.next()? else { return Err(self.fault("a value is missing")) };
                    if sign == Token::Plus {
                        How::Adds(value)
                    } else if sign == Token::Minus {
                        How::Removes(value)
                    } else {
                        How::Is(value)
                    }
                }
            };
            settings.push(Assigned { name, how });
            if !self.takes(&Token::Comma)? {
                self.ends()?;
                return Ok(Line::Defaults(scope, bound, settings));
            }
        }
    }

    fn rule(&mut self) -> Result<Line, Fault> {
        let users = self.list(Self::user)?;
        let mut privileges = Vec::new();
        loop {
            let hosts = self.list(Self::host)?;
            self.must(&Token::Equals, "hosts are followed by `=`")?;
            let mut specs: Vec<Spec> = Vec::new();
            loop {
                let spec = self.spec(specs.last())?;
                specs.push(spec);
                if !self.takes(&Token::Comma)? {
                    break;
                }
            }
            privileges.push(Privilege { hosts, specs });
            if !self.takes(&Token::Colon)? {
                self.ends()?;
                return Ok(Line::Rule(users, privileges));
            }
        }
    }

    fn spec(&mut self, before: Option<&Spec>) -> Result<Spec, Fault> {
        let runas = if self.takes(&Token::Open)? { Some(Rc::new(self.runas()?)) } else { None };
        let mut options = BTreeMap::new();
        while let Some(Token::Option(option)) = self.peek()? {
            let option = *option;
            self.ahead = None;
            self.must(&Token::Equals, "an option is followed by `=`")?;
            let Some(Token::Word(value)) = self.next()? else { return Err(self.fault("an option has a value")) };
            check_option(option, &value).map_err(|why| self.fault(why))?;
            options.insert(option, value);
        }
        let mut tags = Tags::default();
        while let Some(Token::Tag(tag)) = self.peek()? {
            let tag = *tag;
            self.ahead = None;
            tags.set(tag);
        }
        let command = self.command()?;
        if command.member == Member::All && !command.negated && !tags.by_matter.contains_key("SETENV") {
            tags.setenv_implied = true;
        }
        let Some(before) = before else { return Ok(Spec { runas, options, tags, command }) };
        for (matter, tag) in &before.tags.by_matter {
            let own = tags.by_matter.contains_key(matter) || (*matter == "SETENV" && tags.setenv_implied);
            if !own {
                tags.by_matter.insert(matter, tag);
            }
        }
        let own_context = options.contains_key("ROLE") || options.contains_key("TYPE");
        for (option, value) in &before.options {
            let context = *option == "ROLE" || *option == "TYPE";
            if !(context && own_context) {
                options.entry(option).or_insert_with(|| value.clone());
            }
        }
        Ok(Spec { runas: runas.or_else(|| before.runas.clone()), options, tags, command })
    }

    /// `user, … : group, …)`, either half perhaps empty; the opening bracket taken.
    fn runas(&mut self) -> Result<RunAs, Fault> {
        let mut runas = RunAs::default();
        if self.takes(&Token::Close)? {
            return Ok(runas);
        }
        if self.peek()? != Some(&Token::Colon) {
            runas.users = self.list(Self::user)?;
        }
        // `(:)` is the caller, as `()` is.
        if self.takes(&Token::Colon)? && (!runas.users.is_empty() || self.peek()? != Some(&Token::Close)) {
            runas.groups = self.list(Self::group)?;
        }
        self.must(&Token::Close, "a bracket is not closed")?;
        Ok(runas)
    }

    fn list(&mut self, member: fn(&mut Self) -> Result<Listed, Fault>) -> Result<Vec<Listed>, Fault> {
        let mut members = vec![member(self)?];
        while self.takes(&Token::Comma)? {
            members.push(member(self)?);
        }
        Ok(members)
    }

    fn plain(&mut self, wanted: fn(Token) -> Option<Member>, why: &'static str) -> Result<Listed, Fault> {
        let negated = self.takes(&Token::Not)?;
        let line = self.lexer.line();
        let member = self.next()?.and_then(wanted).ok_or(Fault { line, why })?;
        Ok(Listed { member, digests: Vec::new(), negated })
    }

    fn user(&mut self) -> Result<Listed, Fault> {
        self.plain(|token| name(token, true), "a user, group or alias is missing")
    }

    fn group(&mut self) -> Result<Listed, Fault> {
        let named = |token| match name(token, false) {
            Some(member @ (Member::All | Member::Alias(_) | Member::Name(_))) => Some(member),
            Some(Member::Group(_) | Member::Netgroup(_) | Member::Network(_) | Member::Command(..)) | None => None,
        };
        self.plain(named, "a group is missing")
    }

    fn host(&mut self) -> Result<Listed, Fault> {
        self.plain(|token| name(token, false), "a host is missing")
    }

    fn command(&mut self) -> Result<Listed, Fault> {
        let mut digests = Vec::new();
        while let Some(Token::DigestKind(kind)) = self.peek()? {
            let kind = *kind;
            self.ahead = None;
            self.must(&Token::Colon, "a digest follows its colon")?;
            let Some(Token::Digest(digest)) = self.next()? else { return Err(self.fault("a digest is missing")) };
            digests.push(format!("{kind}:{}", String::from_utf8_lossy(&digest)));
            if !self.takes(&Token::Comma)? {
                break;
            }
            if !matches!(self.peek()?, Some(Token::DigestKind(_))) {
                return Err(self.fault("a digest or a command is missing"));
            }
        }
        let negated = self.takes(&Token::Not)?;
        let member = match self.next()? {
            Some(Token::All) => Member::All,
            Some(Token::Alias(_)) if !digests.is_empty() => return Err(self.fault("a digest needs a command")),
            Some(Token::Alias(name)) => Member::Alias(name),
            Some(Token::Command(path, arguments)) => {
                let edits = path.rsplit(|byte| *byte == b'/').next() == Some(b"sudoedit");
                if edits && path != b"sudoedit" {
                    return Err(self.fault("sudoedit has no path"));
                }
                Member::Command(path, arguments)
            }
            _ => return Err(self.fault("a command is missing; it begins with `/`")),
        };
        Ok(Listed { member, digests, negated })
    }
}

/// A member of a list of users (with groups, without addresses) or of hosts (the reverse).
fn name(token: Token, users: bool) -> Option<Member> {
    Some(match token {
        Token::All => Member::All,
        Token::Alias(name) => Member::Alias(name),
        Token::Netgroup(name) => Member::Netgroup(name),
        Token::Group(name) if users => Member::Group(canonical(name)),
        Token::Network(address) if !users => Member::Network(address),
        Token::Word(name) => Member::Name(canonical(name)),
        Token::Newline
        | Token::Comma
        | Token::Equals
        | Token::Plus
        | Token::Minus
        | Token::Colon
        | Token::Open
        | Token::Close
        | Token::Not
        | Token::Group(_)
        | Token::Network(_)
        | Token::Command(..)
        | Token::Tag(_)
        | Token::Option(_)
        | Token::DigestKind(_)
        | Token::Digest(_)
        | Token::Aliases(_)
        | Token::Defaults(_)
        | Token::Setting(_)
        | Token::Include
        | Token::IncludeDir => return None,
    })
}

/// `#007` is `#7`: ids are compared as numbers.
fn canonical(name: Vec<u8>) -> Vec<u8> {
    let sign = if name.starts_with(b"%:#") { 3 } else { usize::from(name.starts_with(b"%")) + 1 };
    match name.split_at_checked(sign) {
        Some((before, digits)) if before.ends_with(b"#") && digits.iter().all(u8::is_ascii_digit) => {
            let zeros = digits.iter().take_while(|digit| **digit == b'0').count().min(digits.len().saturating_sub(1));
            [before, digits.get(zeros..).unwrap_or_default()].concat()
        }
        Some(_) | None => name,
    }
}
