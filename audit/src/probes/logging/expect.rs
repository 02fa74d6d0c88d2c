//! What a rule can ask of logging.

use serde::Deserialize;

use crate::change::Pattern;

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// That logs survive a boot.
    pub persistent: Option<bool>,
    /// That logs leave the host.
    pub forwarded: Option<bool>,
    /// That they leave it by TLS only.
    pub encrypted: Option<bool>,
    /// The only places they may be sent to, `HOST:PORT/PROTOCOL`.
    pub targets: Option<Vec<Pattern>>,
    /// Rules auditd must have.
    pub audit_rules: Option<Vec<Pattern>>,
    /// That auditd's rules cannot be changed before the next boot.
    pub audit_immutable: Option<bool>,
    /// The bits a log file may have, octal in quotes.
    pub files_at_most: Option<Mode>,
    /// Log files that are not asked.
    #[serde(default)]
    pub files_except: Vec<Pattern>,
}

/// Permission bits.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct Mode(pub u32);

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let mode = is_octal.then(|| u32::from_str_radix(&text, 8).ok()).flatten();
        mode.map(Self).ok_or_else(|| format!("`{text}` is no mode: write \"0640\", in quotes"))
    }
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let Expect { persistent, forwarded, encrypted, targets, audit_rules, audit_immutable, files_at_most, files_except } =
        expect;
    let flags = [
        ("persistent", persistent),
        ("forwarded", forwarded),
        ("encrypted", encrypted),
        ("audit_immutable", audit_immutable),
    ];
    for (key, flag) in flags {
        if *flag == Some(false) {
            return Err((key.to_owned(), "`false` asks nothing: leave it out".to_owned()));
        }
    }
    if audit_rules.as_ref().is_some_and(Vec::is_empty) {
        return Err(("audit_rules".to_owned(), "an empty list asks nothing".to_owned()));
    }
    if !files_except.is_empty() && files_at_most.is_none() {
        return Err(("files_except".to_owned(), "excepts from `files_at_most`, which is not asked".to_owned()));
    }
    let nothing = flags.iter().all(|(_, flag)| flag.is_none());
    if nothing && targets.is_none() && audit_rules.is_none() && files_at_most.is_none() {
        return Err((String::new(), "ask at least one thing of the logs".to_owned()));
    }
    Ok(())
}
