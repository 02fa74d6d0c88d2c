//! The plain shapes of polkit's rules (polkit(8), AUTHORIZATION RULES): what distributions and packages ship.
//!
//! A rule is a program; this understands functions made of `if`, `return` and conditions on the action's name, the subject's
//! user, groups and session. Anything else is not understood, and said so: nothing is guessed.

/// What a condition asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probes) enum Test {
    /// `action.id == "…"`.
    Action(String),
    /// `action.id.indexOf("…") == 0`.
    Prefix(String),
    /// Of the subject or the action's details, as it is said: `user otto`, `group sudo`, `active`.
    Said(String),
    Always(bool),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

/// What one path through a rule answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probes) enum Answer {
    /// `polkit.Result.YES`.
    Result(String),
    /// `["unix-group:sudo"]`.
    Identities(Vec<String>),
}

/// One `addRule` or `addAdminRule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probes) struct Rule {
    pub(in crate::probes) admin: bool,
    /// What is answered where; earlier answers are not taken from later ones, which errs towards more.
    pub(in crate::probes) answers: Vec<(Test, Answer)>,
}

/// How deeply conditions may nest.
const MAX_DEPTH: usize = 40;
/// The largest file taken apart.
const MAX_BYTES: usize = 256 * 1024;

/// The rules of a file; the line and word where they are no longer plain.
pub(in crate::probes) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    if text.len() > MAX_BYTES {
        return Err("too large".into());
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let mut rules = Vec::new();
    while parser.at < parser.tokens.len() {
        if parser.takes(";") {
            continue;
        }
        rules.push(parser.rule().map_err(|_| parser.stopped())?);
    }
    Ok(rules)
}

impl Test {
    /// Who is left of a condition once the action is known: one text for each way, `None` where there is none.
    pub(in crate::probes) fn who(&self, action: &str) -> Vec<String> {
        match self.with(action) {
            Self::Always(false) => Vec::new(),
            Self::Always(true) => vec!["anybody".into()],
            Self::Any(ways) => ways.iter().map(Self::say).collect(),
            one @ (Self::Action(_) | Self::Prefix(_) | Self::Said(_) | Self::Not(_) | Self::All(_)) => vec![one.say()],
        }
    }

    fn with(&self, action: &str) -> Self {
        match self {
            Self::Action(name) => Self::Always(name == action),
            Self::Prefix(prefix) => Self::Always(action.starts_with(prefix.as_str())),
            Self::Said(_) | Self::Always(_) => self.clone(),
            Self::Not(test) => match test.with(action) {
                Self::Always(is) => Self::Always(!is),
                one @ (Self::Action(_)
                | Self::Prefix(_)
                | Self::Said(_)
                | Self::Not(_)
                | Self::All(_)
                | Self::Any(_)) => Self::Not(Box::new(one)),
            },
            Self::All(tests) => join(tests.iter().map(|test| test.with(action)), true),
            Self::Any(tests) => join(tests.iter().map(|test| test.with(action)), false),
        }
    }

    fn say(&self) -> String {
        match self {
            Self::Action(name) => format!("action {name}"),
            Self::Prefix(name) => format!("action {name}*"),
            Self::Said(said) => said.clone(),
            Self::Always(is) => is.to_string(),
            Self::Not(test) => format!("not {}", test.say()),
            Self::All(tests) => tests.iter().map(Self::say).collect::<Vec<_>>().join(" and "),
            Self::Any(tests) => format!("({})", tests.iter().map(Self::say).collect::<Vec<_>>().join(" or ")),
        }
    }
}

/// Several conditions joined by `&&` (`all`) or `||`, what is certain left out.
fn join(tests: impl Iterator<Item = Test>, all: bool) -> Test {
    let mut left = Vec::new();
    for test in tests {
        match test {
            Test::Always(is) if is == all => {}
            Test::Always(is) => return Test::Always(is),
            Test::All(more) if all => left.extend(more),
            Test::Any(more) if !all => left.extend(more),
            one @ (Test::Action(_) | Test::Prefix(_) | Test::Said(_) | Test::Not(_) | Test::All(_) | Test::Any(_)) => {
                left.push(one)
            }
        }
    }
    match left.pop() {
        None => Test::Always(all),
        Some(only) if left.is_empty() => only,
        Some(last) => {
            left.push(last);
            if all { Test::All(left) } else { Test::Any(left) }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 19] =
    ["===", "!==", "==", "!=", "&&", "||", "=>", "(", ")", "{", "}", "[", "]", ",", ";", ".", "!", "-", "0"];

fn tokens(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    loop {
        let trimmed = rest.trim_start();
        line += rest
            .len()
            .checked_sub(trimmed.len())
            .and_then(|n| rest.get(..n))
            .map_or(0, |gone| gone.matches('\n').count());
        rest = trimmed;
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let unfinished = || format!("line {line}: a comment or text that does not end");
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.find('\n').and_then(|end| comment.get(end..)).unwrap_or_default();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let (inner, after) = comment.split_once("*/").ok_or_else(unfinished)?;
            line += inner.matches('\n').count();
            rest = after;
        } else if first == '"' || first == '\'' {
            let inner = rest.get(1..).unwrap_or_default();
            let (text, after) = inner.split_once(first).ok_or_else(unfinished)?;
            if text.contains(['\\', '\n']) {
                return Err(format!("line {line}: a text with a backslash"));
            }
            tokens.push((Token::Text(text.to_owned()), line));
            rest = after;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_')).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            tokens.push((Token::Name(name.to_owned()), line));
            rest = after;
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| format!("line {line}: `{first}` is not understood"))?;
            tokens.push((Token::Sign(sign), line));
            rest = rest.get(sign.len()..).unwrap_or_default();
        }
    }
}

/// Not understood here.
struct Lost;

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn next(&mut self) -> Result<Token, Lost> {
        let token = self.peek().cloned().ok_or(Lost)?;
        self.at += 1;
        Ok(token)
    }

    /// Takes what comes next if it is `sign` or the name.
    fn takes(&mut self, sign: &str) -> bool {
        let is = match self.peek() {
            Some(Token::Sign(other)) => *other == sign,
            Some(Token::Name(other)) => other == sign,
            Some(Token::Text(_)) | None => false,
        };
        self.at += usize::from(is);
        is
    }

    fn wants(&mut self, signs: &[&str]) -> Result<(), Lost> {
        if signs.iter().all(|sign| self.takes(sign)) { Ok(()) } else { Err(Lost) }
    }

    fn name(&mut self) -> Result<String, Lost> {
        match self.next()? {
            Token::Name(name) => Ok(name),
            Token::Text(_) | Token::Sign(_) => Err(Lost),
        }
    }

    fn text(&mut self) -> Result<String, Lost> {
        match self.next()? {
            Token::Text(text) => Ok(text),
            Token::Name(_) | Token::Sign(_) => Err(Lost),
        }
    }

    fn stopped(&self) -> String {
        let at = self.tokens.get(self.at.saturating_sub(1)).or(self.tokens.last());
        format!("not plain from line {} on", at.map_or(1, |(_, line)| *line))
    }

    /// `polkit.addRule(function(action, subject) { … });`
    fn rule(&mut self) -> Result<Rule, Lost> {
        self.wants(&["polkit", "."])?;
        let admin = match self.name()?.as_str() {
            "addRule" => false,
            "addAdminRule" => true,
            _ => return Err(Lost),
        };
        self.wants(&["("])?;
        let arrow = !self.takes("function");
        self.wants(&["(", "action", ",", "subject", ")"])?;
        if arrow {
            self.wants(&["=>"])?;
        }
        let mut answers = Vec::new();
        self.block(&Test::Always(true), &mut answers, 0)?;
        self.wants(&[")"])?;
        Ok(Rule { admin, answers })
    }

    fn block(&mut self, given: &Test, answers: &mut Vec<(Test, Answer)>, depth: usize) -> Result<(), Lost> {
        self.wants(&["{"])?;
        while !self.takes("}") {
            self.statement(given, answers, depth + 1)?;
        }
        Ok(())
    }

    fn statement(&mut self, given: &Test, answers: &mut Vec<(Test, Answer)>, depth: usize) -> Result<(), Lost> {
        if depth > MAX_DEPTH {
            return Err(Lost);
        }
        if self.takes(";") {
            return Ok(());
        }
        if self.takes("if") {
            self.wants(&["("])?;
            let test = self.any(depth)?;
            self.wants(&[")"])?;
            let both = join([given.clone(), test.clone()].into_iter(), true);
            self.statement(&both, answers, depth + 1)?;
            if self.takes("else") {
                let other = join([given.clone(), Test::Not(Box::new(test))].into_iter(), true);
                self.statement(&other, answers, depth + 1)?;
            }
            return Ok(());
        }
        if self.peek() == Some(&Token::Sign("{")) {
            return self.block(given, answers, depth);
        }
        self.wants(&["return"])?;
        if let Some(answer) = self.answer()? {
            answers.push((given.clone(), answer));
        }
        // A semicolon may be missing before the end of a block, and before `else`.
        let ends = self.takes(";")
            || self.peek() == Some(&Token::Sign("}"))
            || matches!(self.peek(), Some(Token::Name(name)) if name == "else");
        if ends { Ok(()) } else { Err(Lost) }
    }

    /// What follows `return`; `None` where it answers nothing.
    fn answer(&mut self) -> Result<Option<Answer>, Lost> {
        if self.peek() == Some(&Token::Sign(";")) || self.takes("null") || self.takes("undefined") {
            return Ok(None);
        }
        if self.takes("[") {
            let mut identities = vec![self.text()?];
            while self.takes(",") {
                identities.push(self.text()?);
            }
            self.wants(&["]"])?;
            return Ok(Some(Answer::Identities(identities)));
        }
        self.wants(&["polkit", ".", "Result", "."])?;
        let result = self.name()?;
        Ok((result != "NOT_HANDLED").then_some(Answer::Result(result)))
    }

    fn any(&mut self, depth: usize) -> Result<Test, Lost> {
        let mut tests = vec![self.all(depth)?];
        while self.takes("||") {
            tests.push(self.all(depth)?);
        }
        Ok(join(tests.into_iter(), false))
    }

    fn all(&mut self, depth: usize) -> Result<Test, Lost> {
        let mut tests = vec![self.one(depth + 1)?];
        while self.takes("&&") {
            tests.push(self.one(depth + 1)?);
        }
        Ok(join(tests.into_iter(), true))
    }

    fn one(&mut self, depth: usize) -> Result<Test, Lost> {
        if depth > MAX_DEPTH {
            return Err(Lost);
        }
        if self.takes("!") {
            return Ok(Test::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes("(") {
            let test = self.any(depth + 1)?;
            self.wants(&[")"])?;
            return Ok(test);
        }
        let object = self.name()?;
        self.wants(&["."])?;
        let field = self.name()?;
        match (object.as_str(), field.as_str()) {
            ("action", "id") if self.takes(".") => {
                let how = self.name()?;
                self.wants(&["("])?;
                let prefix = self.text()?;
                self.wants(&[")"])?;
                match how.as_str() {
                    "startsWith" => Ok(Test::Prefix(prefix)),
                    "indexOf" => self.compare("0", Test::Prefix(prefix)),
                    _ => Err(Lost),
                }
            }
            ("action", "id") => self.equals(Test::Action),
            ("action", "lookup") => {
                self.wants(&["("])?;
                let key = self.text()?;
                self.wants(&[")"])?;
                self.equals(|value| Test::Said(format!("{key} {value}")))
            }
            ("subject", "user") => self.equals(|user| Test::Said(format!("user {user}"))),
            ("subject", "isInGroup") => {
                self.wants(&["("])?;
                let group = self.text()?;
                self.wants(&[")"])?;
                Ok(Test::Said(format!("group {group}")))
            }
            ("subject", "active" | "local") => {
                let plain = Test::Said(field);
                let compares = matches!(self.peek(), Some(Token::Sign("==" | "===" | "!=" | "!==")));
                if compares { self.compare("true", plain) } else { Ok(plain) }
            }
            _ => Err(Lost),
        }
    }

    /// `== "…"` or `!= "…"`.
    fn equals(&mut self, test: impl Fn(String) -> Test) -> Result<Test, Lost> {
        let negated = self.sign()?;
        let test = test(self.text()?);
        Ok(if negated { Test::Not(Box::new(test)) } else { test })
    }

    /// `== VALUE` or `!= VALUE`.
    fn compare(&mut self, value: &str, test: Test) -> Result<Test, Lost> {
        let negated = self.sign()?;
        self.wants(&[value])?;
        Ok(if negated { Test::Not(Box::new(test)) } else { test })
    }

    fn sign(&mut self) -> Result<bool, Lost> {
        match self.next()? {
            Token::Sign("==" | "===") => Ok(false),
            Token::Sign("!=" | "!==") => Ok(true),
            Token::Sign(_) | Token::Name(_) | Token::Text(_) => Err(Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(text: &str, action: &str) -> Vec<String> {
        let rules = parse(text).unwrap();
        rules.iter().flat_map(|rule| &rule.answers).flat_map(|(test, _)| test.who(action)).collect()
    }

    #[test]
    fn administrators_are_read_as_distributions_write_them() {
        let text = "/* -*- mode: js -*- */\n// c\npolkit.addAdminRule(function(action, subject) {\n    return [\"unix-group:sudo\", 'unix-user:0'];\n});\n";
        let rules = parse(text).unwrap();
        let identities = Answer::Identities(vec!["unix-group:sudo".into(), "unix-user:0".into()]);
        assert_eq!(rules, [Rule { admin: true, answers: vec![(Test::Always(true), identities)] }]);
    }

    #[test]
    fn conditions_are_taken_apart_for_an_action() {
        let text = "polkit.addRule(function(action, subject) {\n if ((action.id == \"a.b\" || action.id.indexOf(\"c.\") == 0) && subject.active == true && subject.isInGroup(\"x\")) {\n return polkit.Result.YES;\n }\n if (subject.user === 'u' || !subject.local) return polkit.Result.YES\n else return polkit.Result.NOT_HANDLED; });";
        assert_eq!(who(text, "a.b"), ["active and group x", "user u", "not local"]);
        assert_eq!(who(text, "c.d"), ["active and group x", "user u", "not local"]);
        assert_eq!(who(text, "z"), ["user u", "not local"]);
        let plain = "polkit.addRule((action, subject) => { if (action.id != 'q') { return polkit.Result.YES; } });";
        assert_eq!((who(plain, "q"), who(plain, "r")), (vec![], vec!["anybody".to_owned()]));
    }

    #[test]
    fn what_is_not_plain_is_not_guessed() {
        for text in [
            "var x = 1;",
            "polkit.addRule(function(action, subject) { var x; });",
            "polkit.addRule(function(a, b) { return polkit.Result.YES; });",
            "polkit.addRule(function(action, subject) { if (/x/.test(action.id)) return polkit.Result.YES; });",
            "polkit.addRule(function(action, subject) { return f(); });",
            "polkit.addRule(function(action, subject) { if (action.id == \"a\\x62\") return polkit.Result.YES; });",
            "polkit.addRule(function(action, subject) { if (action.id.indexOf('a') == -1) return polkit.Result.YES; });",
            "polkit.addRule(function(action, subject) {",
            "/* never ends",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("polkit.addRule(function(action, subject) {{ if ({}subject.local", "(".repeat(100_000));
        assert!(parse(&deep).is_err());
    }
}
