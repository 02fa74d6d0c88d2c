//! doas: `/etc/doas.conf` (doas.conf(5)), and the files of `/etc/doas.d` that end in `.conf`, which Alpine's doas reads after it.
//!
//! The last rule that matches decides. One fault anywhere and doas permits nobody anything: to us that is a gap, for the file
//! may be mended at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::text::text;
use super::{DoasRule, Item, State};
use crate::facts::Facts;
use crate::host::{EntryKind, Gap, GapKind, Host, gap, path_text, read_small};

/// The most rules; doas itself has no limit.
const MAX_RULES: usize = 10_000;
/// doas's own limit of a word, in bytes.
const MAX_WORD: usize = 1023;

/// Adds the rules to the items, and the groups they name, as sudoers spells groups, to `named`.
pub(super) fn collect(host: &dyn Host, named: &mut BTreeSet<Vec<u8>>, facts: &mut Facts<Item, State>) {
    let mut files = vec![PathBuf::from("/etc/doas.conf")];
    match gap::optional(host.list(Path::new("/etc/doas.d"))) {
        Ok(entries) => {
            let names = entries.unwrap_or_default().into_iter().map(|entry| entry.name);
            let named = names.filter(|name| name.as_bytes().ends_with(b".conf"));
            files.extend(named.map(|name| Path::new("/etc/doas.d").join(name)));
        }
        Err(gap) => facts.items.hide("doas:", gap),
    }
    let mut order = Vec::new();
    let mut by_who: BTreeMap<String, Vec<DoasRule>> = BTreeMap::new();
    for file in files {
        let rules = match gap::optional(read_small(host, &file)) {
            Ok(None) => continue,
            Ok(Some(bytes)) => rules(&bytes),
            Err(gap) => {
                facts.items.hide("doas:", gap);
                continue;
            }
        };
        note(host, &file, facts);
        match rules {
            Ok(rules) if order.len() + rules.len() <= MAX_RULES => {
                for (who, rule) in rules {
                    order.push(who.clone());
                    by_who.entry(who).or_default().push(rule);
                }
            }
            Ok(_) => {
                let why = format!("more than {MAX_RULES} rules");
                facts.items.hide("doas:", Gap::new(GapKind::TooLarge, path_text(&file), why));
            }
            Err((line, why)) => {
                facts.items.hide("doas:", Gap::malformed(path_text(&file), format!("line {line}: {why}")));
            }
        }
    }
    named.extend(by_who.keys().map(|who| in_sudo(who)).filter(|who| who.starts_with('%')).map(String::into_bytes));
    if by_who.len() > 1 {
        facts.items.seen.insert("doas:order".into(), Item::DoasOrder { who: order });
    }
    for (who, rules) in by_who {
        facts.items.seen.insert(format!("doas:for:{}", super::text::part(&who)), Item::Doas { who, rules });
    }
}

/// An identity as sudoers spells it: `%wheel`, `%#10`, `#1000`.
pub(super) fn in_sudo(who: &str) -> String {
    let number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    match who.strip_prefix(':') {
        Some(group) if number(group) => format!("%#{group}"),
        Some(group) => format!("%{group}"),
        None if number(who) => format!("#{who}"),
        None => who.to_owned(),
    }
}

/// Those rules that permit something which no later rule for the same identity decides altogether.
pub(super) fn permits(rules: &[DoasRule]) -> Vec<&DoasRule> {
    let mut standing = Vec::new();
    // As whom later rules decide every command; `None` is as anybody.
    let mut decided: BTreeSet<Option<&str>> = BTreeSet::new();
    for rule in rules.iter().rev() {
        let target = rule.target.as_deref();
        if rule.permit && !decided.contains(&None) && !decided.contains(&target) {
            standing.push(rule);
        }
        if rule.command.is_none() {
            decided.insert(target);
        }
    }
    standing.reverse();
    standing
}

/// Owner and mode, and whether doas heeds the file.
fn note(host: &dyn Host, path: &Path, facts: &mut Facts<Item, State>) {
    let subject = format!("file:{}", path_text(path));
    match host.stat(path) {
        Ok(stat) => {
            let refused = if stat.kind != EntryKind::File {
                Some("of the wrong kind")
            } else if stat.uid != 0 {
                Some("not owned by root")
            } else if stat.mode & 0o022 != 0 {
                Some("writable by group or others")
            } else {
                None
            };
            let mode = format!("{:04o}", stat.mode);
            let refused = refused.map(str::to_owned);
            facts.state.seen.insert(subject, State::File { uid: stat.uid, gid: stat.gid, mode, refused });
        }
        Err(gap) => facts.state.hide(subject, gap),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Newline,
    Open,
    Close,
    /// A word, and whether it may be a keyword: not with quotes or backslashes in it.
    Word(Vec<u8>, bool),
}

type Fault = (usize, &'static str);

/// The rules of one file, each with its identity.
fn rules(bytes: &[u8]) -> Result<Vec<(String, DoasRule)>, Fault> {
    let mut rules = Vec::new();
    let mut line: Vec<Token> = Vec::new();
    let mut number = 1;
    let mut rest = bytes;
    loop {
        let (token, lines, after) = token(rest).map_err(|why| (number, why))?;
        rest = after;
        match token {
            None if !line.is_empty() => return Err((number, "the file ends within a rule")),
            Some(Token::Newline) | None => {
                if !line.is_empty() {
                    rules.push(rule(&line).ok_or((number, "not understood"))?);
                    line.clear();
                }
                if rules.len() > MAX_RULES {
                    return Ok(rules);
                }
            }
            Some(token @ (Token::Open | Token::Close | Token::Word(..))) => line.push(token),
        }
        number += lines;
        if after.is_empty() && line.is_empty() {
            return Ok(rules);
        }
    }
}

/// The next token, the lines it spans, and what follows; no token at the end. What follows an escaped end of line is no keyword.
fn token(bytes: &[u8]) -> Result<(Option<Token>, usize, &[u8]), &'static str> {
    let (mut rest, mut lines, mut joined) = (bytes, 0, false);
    loop {
        let (token, more, after) = piece(rest)?;
        lines += more;
        match token {
            Some(Token::Word(word, true)) if word.is_empty() => (rest, joined) = (after, true),
            Some(Token::Word(word, plain)) => return Ok((Some(Token::Word(word, plain && !joined)), lines, after)),
            other @ (Some(Token::Open | Token::Close | Token::Newline) | None) => return Ok((other, lines, after)),
        }
    }
}

fn piece(bytes: &[u8]) -> Result<(Option<Token>, usize, &[u8]), &'static str> {
    let skip = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len());
    let rest = bytes.get(skip..).unwrap_or_default();
    let after = |length: usize| rest.get(length..).unwrap_or_default();
    match rest.first() {
        None => return Ok((None, 0, rest)),
        Some(b'\n') => return Ok((Some(Token::Newline), 1, after(1))),
        Some(b'{') => return Ok((Some(Token::Open), 0, after(1))),
        Some(b'}') => return Ok((Some(Token::Close), 0, after(1))),
        Some(b'#') => {
            // One that runs to the end of the file ends no rule, and doas refuses a rule that nothing ends.
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Ok((None, 0, &[])) };
            return Ok((Some(Token::Newline), 1, after(end + 1)));
        }
        Some(_) => {}
    }
    let (mut word, mut plain, mut quoted, mut escaped, mut lines) = (Vec::new(), true, false, false, 0);
    let mut quotes = false;
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        match byte {
            0 => return Err("a NUL byte"),
            b'\\' if !escaped => {
                (escaped, plain) = (true, false);
                at += 1;
                continue;
            }
            b'\n' if quoted => return Err("quotes that do not end"),
            b'\n' if escaped => {
                (escaped, lines) = (false, lines + 1);
                at += 1;
                continue;
            }
            b'\n' => break,
            b'{' | b'}' | b'#' | b' ' | b'\t' if !escaped && !quoted => break,
            b'"' if !escaped => {
                (quoted, plain, quotes) = (!quoted, false, true);
                at += 1;
                continue;
            }
            _ => word.push(*byte),
        }
        if word.len() > MAX_WORD {
            return Err("a word that is too long");
        }
        escaped = false;
        at += 1;
    }
    if escaped || quoted {
        return Err("quotes or a backslash at the end");
    }
    if word.is_empty() && !quotes {
        // Nothing but an escaped end of line: no quoted word is empty and yet a keyword, so this is told apart.
        plain = true;
    }
    Ok((Some(Token::Word(word, plain)), lines, after(at)))
}

const KEYWORDS: [&str; 10] = ["deny", "permit", "as", "cmd", "args", "nopass", "nolog", "persist", "keepenv", "setenv"];

/// One rule out of the tokens of its line.
fn rule(tokens: &[Token]) -> Option<(String, DoasRule)> {
    let keyword = |token: &Token| match token {
        Token::Word(word, true) => KEYWORDS.into_iter().find(|known| known.as_bytes() == word),
        Token::Word(_, false) | Token::Open | Token::Close | Token::Newline => None,
    };
    let name = |token: &Token| match token {
        Token::Word(word, _) if keyword(token).is_none() => Some(text(word, "")),
        Token::Word(..) | Token::Open | Token::Close | Token::Newline => None,
    };
    let mut rest = tokens.iter().peekable();
    let permit = match keyword(rest.next()?)? {
        "permit" => true,
        "deny" => false,
        _ => return None,
    };
    let mut rule = DoasRule { permit, ..DoasRule::default() };
    while let Some(option) = rest.peek().and_then(|token| keyword(token)).filter(|_| permit) {
        rest.next();
        match option {
            "nopass" | "nolog" | "persist" | "keepenv" => {
                rule.options.insert(option.to_owned());
            }
            "setenv" if rule.setenv.is_empty() && rest.next() == Some(&Token::Open) => loop {
                match rest.next()? {
                    Token::Close => break,
                    variable @ (Token::Word(..) | Token::Open | Token::Newline) => rule.setenv.push(name(variable)?),
                }
            },
            _ => return None,
        }
    }
    if rule.options.contains("nopass") && rule.options.contains("persist") {
        return None;
    }
    let who = name(rest.next()?)?;
    if rest.peek().and_then(|token| keyword(token)) == Some("as") {
        rest.next();
        rule.target = Some(name(rest.next()?)?);
    }
    if rest.peek().and_then(|token| keyword(token)) == Some("cmd") {
        rest.next();
        rule.command = Some(name(rest.next()?)?);
        if rest.peek().and_then(|token| keyword(token)) == Some("args") {
            rest.next();
            rule.arguments = Some(rest.by_ref().map(name).collect::<Option<_>>()?);
        }
    }
    rest.next().is_none().then_some((who, rule))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deviates, facts, host, judge, said, why_hidden_by, wrong};
    use crate::host::Recorded;

    fn with(text: &str) -> Recorded {
        host().file("/etc/doas.conf", text)
    }

    #[test]
    fn rules_are_kept_by_identity_and_their_order_beside_them() {
        let host = with(
            "# c\npermit persist keepenv :wheel\n\ndeny otto as root cmd /bin/su\npermit nopass setenv { A -B C=$D } otto as root cmd /bin/a args \"b c\" d\\ e # x\n\
             permit otto cmd /bin/n args\npermit 1000 as \\\n ava\n",
        );
        let found = said(&host, "doas:");
        let wanted = [
            ("doas:for:1000", "permit as ava"),
            ("doas:for::wheel", "permit keepenv persist"),
            (
                "doas:for:otto",
                "deny as root cmd /bin/su; permit nopass setenv { A -B C=$D } as root cmd /bin/a args b c d e; permit cmd /bin/n args",
            ),
            ("doas:order", ":wheel, otto, otto, otto, 1000"),
        ];
        assert_eq!(found, wanted.iter().map(|(subject, said)| ((*subject).to_owned(), (*said).to_owned())).collect());
    }

    #[test]
    fn one_fault_is_a_gap() {
        for text in [
            "permit ava",
            "permit ava # nothing ends it",
            "permit\n",
            "allow ava\n",
            "permit ava as\n",
            "deny nopass ava\n",
            "permit nopass persist ava\n",
            "permit ava cmd x y\n",
            "permit setenv A ava\n",
            "permit setenv { A ava\n",
            "permit ava args x\n",
            "permit \"ava\n",
            "permit a\0va\n",
            "permit as\n",
            "permit ava cmd x args cmd\n",
            "}\n",
            "permit ava\\",
        ] {
            assert!(why_hidden_by(&with(text), "doas:").contains("line 1"), "{text:?}");
        }
        assert!(why_hidden_by(&with("permit ava\n#\nx y\n"), "doas:").contains("line 3"));
        assert!(wrong(&with("x\n"), "only: [root, '%sudo']").iter().any(|(_, subject)| subject == "doas"));
    }

    #[test]
    fn who_doas_makes_root_is_an_administrator() {
        let host = with("permit :dba\npermit otto cmd /usr/bin/less\npermit rhea as ava\npermit ava\ndeny ava\n");
        let subjects = ["doas:for::dba", "doas:for:otto", "sudo-group:dba:otto"];
        assert_eq!(wrong(&host, "only: [root, '%sudo']"), deviates(&subjects));
        assert_eq!(wrong(&host, "only: [root, '%sudo', '%dba', otto]"), []);
        assert_eq!(wrong(&host, "amounts_to_root: ['%dba']"), deviates(&["doas:for:otto"]));
        let told = judge(&host, "amounts_to_root: ['%dba']");
        assert!(told.iter().any(|(_, _, observed)| observed.contains("less starts a shell")), "{told:?}");
    }

    #[test]
    fn doas_without_a_password_is_found() {
        let host = with("permit nopass otto\npermit nopass root\npermit nopass ava\npermit ava\n");
        assert_eq!(wrong(&host, "nopasswd: forbidden"), deviates(&["doas:for:otto"]));
        assert_eq!(wrong(&host, "nopasswd: [otto]"), []);
    }

    #[test]
    fn alpines_folder_is_read_after_the_file_and_its_modes_count() {
        let host = with("permit ava\n")
            .file("/etc/doas.d/b.conf", "permit otto\n")
            .file("/etc/doas.d/a.conf", "permit rhea\n");
        let host = host.file("/etc/doas.d/x.old", "nonsense");
        assert_eq!(said(&host, "doas:order").into_values().collect::<Vec<_>>(), ["ava, rhea, otto"]);
        let open = host.with_stat("/etc/doas.conf", |stat| stat.mode = 0o664);
        assert_eq!(wrong(&open, "sudoers_files: safe"), deviates(&["file:/etc/doas.conf"]));
        assert!(facts(&open).items.gaps.is_empty());
    }
}
