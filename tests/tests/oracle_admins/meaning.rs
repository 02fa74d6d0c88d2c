//! What a policy means, from cvtsudoers' JSON and from the probe's items, in one form.
//!
//! In a list the last of equal members decides, so only the last is kept, on both sides. `SETENV` is left out of a rule
//! that has `ALL`: cvtsudoers shows what `ALL` implies as if it were written, for the commands beside it, too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One command of a rule: the command, whether denied, its tags and options, its digests, whom it is not for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    command: String,
    denied: bool,
    conditions: BTreeSet<String>,
    digests: BTreeSet<String>,
    not_for: BTreeSet<String>,
}

/// (who, hosts, as whom) to commands in order; and the settings: (scope, name) to values in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    pub rules: BTreeMap<(String, String, String), Vec<Allowed>>,
    pub settings: BTreeMap<(String, String), Vec<String>>,
}

impl Meaning {
    /// All commands of one user, in order.
    pub fn commands(&self, who: &str) -> Vec<String> {
        let of = self.rules.iter().filter(|((user, ..), _)| user == who);
        of.flat_map(|(_, allowed)| allowed.iter().map(|one| one.command.clone())).collect()
    }

    /// What of it `other` does not say.
    pub fn but(&self, other: &Self) -> Self {
        let rules = self.rules.iter().filter(|(key, allowed)| other.rules.get(*key) != Some(*allowed));
        let settings = self.settings.iter().filter(|(key, values)| other.settings.get(*key) != Some(*values));
        let rules = rules.map(|(key, allowed)| (key.clone(), allowed.clone())).collect();
        Self { rules, settings: settings.map(|(key, values)| (key.clone(), values.clone())).collect() }
    }

    fn tidy(mut self) -> Self {
        for allowed in self.rules.values_mut() {
            if allowed.iter().any(|one| one.command == "ALL") {
                for one in allowed.iter_mut() {
                    one.conditions.retain(|tag| !tag.ends_with("SETENV"));
                }
            }
            let mut kept: Vec<Allowed> = Vec::new();
            for one in allowed.drain(..).rev() {
                let same = |other: &Allowed| {
                    (&other.command, &other.digests, &other.not_for) == (&one.command, &one.digests, &one.not_for)
                };
                if !kept.iter().any(same) {
                    kept.push(one);
                }
            }
            kept.reverse();
            *allowed = kept;
        }
        self
    }
}

/// What the probe's items mean.
pub fn of_items(items: &Value) -> Meaning {
    let mut meaning = Meaning::default();
    for (subject, item) in items.as_object().unwrap() {
        let list = |key: &str| strings(&item[key]).join(",");
        match item["way"].as_str() {
            Some("sudo") => {
                let (users, groups) = (list("as_users"), list("as_groups"));
                let whom = if groups.is_empty() { users } else { format!("{users}:{groups}") };
                assert_eq!(*subject, format!("sudo:{}:{}:({whom})", text(&item["who"]), text(&item["hosts"])));
                let signed = strings(&item["as_groups"]).into_iter().map(|group| match group.strip_prefix('!') {
                    Some(name) => (name.to_owned(), true),
                    None => (group, false),
                });
                let (users, groups) = (list("as_users"), bare_groups(signed.collect()));
                let as_users_and_groups = if groups.is_empty() { users } else { format!("{users}:{groups}") };
                // A quoted "ALL" is a name like any other; cvtsudoers does not say so.
                let who = if item["who"] == "\\ALL" { "ALL".to_owned() } else { text(&item["who"]) };
                let key = (who, text(&item["hosts"]), as_users_and_groups);
                let allowed = item["grants"].as_array().unwrap().iter().map(|grant| {
                    let command = text(&grant["command"]).replace("\\ ", " ");
                    let options = grant["options"].as_object().into_iter().flatten();
                    let kept =
                        options.filter(|(option, _)| !["TIMEOUT", "NOTBEFORE", "NOTAFTER"].contains(&option.as_str()));
                    let options = kept.map(|(option, value)| format!("{option}={}", text(value)));
                    let tags = strings(&grant["tags"]).into_iter();
                    Allowed {
                        conditions: tags.chain(options).collect(),
                        command: command.clone(),
                        denied: grant["denied"] == true,
                        digests: strings(&grant["digests"]).into_iter().collect(),
                        not_for: strings(&grant["not_for"]).into_iter().collect(),
                    }
                });
                meaning.rules.insert(key, allowed.collect());
            }
            Some("default") => {
                // cvtsudoers writes those for run-as users as if they were for users.
                let scope = text(&item["scope"]).replacen('>', ":", 1);
                let settings = item["settings"].as_array().unwrap().iter().map(|setting| match setting {
                    Value::String(switch) => {
                        if switch == "on" {
                            "true".into()
                        } else {
                            "false".into()
                        }
                    }
                    value => {
                        let (how, value) = value.as_object().unwrap().iter().next().unwrap();
                        let sign = match how.as_str() {
                            "adds" => "+",
                            "removes" => "-",
                            _ => "",
                        };
                        let plain = text(value).replace("\\\"", "\"").replace("\\\\", "\\");
                        // A list's members stand apart by blanks, however many.
                        if sign.is_empty() { plain } else { format!("{sign}{}", words(&plain)) }
                    }
                });
                meaning.settings.insert((scope, text(&item["name"])), settings.collect());
            }
            _ => {}
        }
    }
    meaning.tidy()
}

/// What `cvtsudoers -e -f json` says a policy means.
pub fn of_cvtsudoers(json: &str) -> Meaning {
    let mut meaning = Meaning::default();
    if json.trim().is_empty() {
        return meaning;
    }
    let policy: Value = serde_json::from_str(&mended(json)).unwrap_or_else(|error| {
        panic!(
            "{error}: {}",
            mended(json).lines().skip(error.line().saturating_sub(15)).take(20).collect::<Vec<_>>().join("\n")
        )
    });
    for default in policy["Defaults"].as_array().into_iter().flatten() {
        let bound = last_of_each(members(&default["Binding"]));
        let sign = scope_sign(&default["Binding"]);
        let scope = format!("{sign}{}", joined(&bound));
        for option in default["Options"].as_array().unwrap() {
            let (name, values) = setting(option);
            meaning.settings.entry((scope.clone(), name)).or_default().extend(values);
        }
    }
    for spec in policy["User_Specs"].as_array().into_iter().flatten() {
        let users = last_of_each(members(&spec["User_List"]));
        let hosts = joined(&last_of_each(members(&spec["Host_List"])));
        for commands in spec["Cmnd_Specs"].as_array().unwrap() {
            let whom = as_whom(commands);
            let allowed: Vec<Allowed> = allowed(commands);
            let granted = users.iter().any(|(_, negated)| !negated);
            for (place, (user, negated)) in users.iter().enumerate() {
                if *negated && granted {
                    continue;
                }
                let after = users.iter().skip(place + 1).filter(|(_, negated)| *negated && granted);
                let not_for: BTreeSet<String> = after.map(|(user, _)| user.clone()).collect();
                let who = if *negated { format!("!{user}") } else { user.clone() };
                let own = allowed.iter().cloned().map(|one| Allowed { not_for: not_for.clone(), ..one });
                meaning.rules.entry((who, hosts.clone(), whom.clone())).or_default().extend(own);
            }
        }
    }
    meaning.tidy()
}

/// Some releases write an option of text into an array without its braces, which is no JSON.
fn mended(json: &str) -> String {
    let mut open: Vec<char> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for line in json.lines() {
        let bare = line.trim();
        let in_list = open.last() == Some(&'[');
        // Nor does every list get the comma after it.
        if bare.starts_with(['"', '{'])
            && let Some(before) = lines.last_mut()
            && before.trim_end().ends_with([']', '}'])
        {
            before.push(',');
        }
        if in_list && bare.starts_with('"') && bare.contains("\": ") {
            let (body, comma) = bare.strip_suffix(',').map_or((bare, ""), |body| (body, ","));
            lines.push(format!("{{ {body} }}{comma}"));
            continue;
        }
        if bare.ends_with(['[', '{']) {
            open.extend(bare.chars().last());
        } else if bare.starts_with([']', '}']) {
            open.pop();
        }
        lines.push(line.to_owned());
    }
    lines.join("\n")
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}

/// (name as sudoers writes it, negated) for each member of a list.
fn members(list: &Value) -> Vec<(String, bool)> {
    list.as_array().into_iter().flatten().map(member).collect()
}

fn member(member: &Value) -> (String, bool) {
    let fields = member.as_object().unwrap();
    let negated = member["negated"] == true;
    let (kind, value) = fields.iter().find(|(kind, _)| *kind != "negated" && !kind.starts_with("sha")).unwrap();
    let name = value.as_str().map_or_else(|| value.to_string(), escaped);
    let said = match kind.as_str() {
        "username" if name.starts_with(['%', '+', '!']) => format!("\\{name}"),
        "userid" => format!("#{name}"),
        "usergroup" => format!("%{}", value.as_str().unwrap().replace('\\', "\\\\")),
        "usergid" => format!("%#{name}"),
        "nonunixgroup" => format!("%:{name}"),
        "nonunixgid" => format!("%:#{name}"),
        "netgroup" => format!("+{name}"),
        "networkaddr" => value.as_str().unwrap().to_owned(),
        "command" => value.as_str().unwrap().to_owned(),
        _ => name,
    };
    (said, negated)
}

fn escaped(name: &str) -> String {
    name.chars().flat_map(|sign| "\\:,".contains(sign).then_some('\\').into_iter().chain([sign])).collect()
}

fn last_of_each(list: Vec<(String, bool)>) -> Vec<(String, bool)> {
    let mut kept: Vec<(String, bool)> = Vec::new();
    for member in list.into_iter().rev() {
        if !kept.iter().any(|(name, _)| *name == member.0) {
            kept.push(member);
        }
    }
    kept.reverse();
    kept
}

fn joined(list: &[(String, bool)]) -> String {
    list.iter()
        .map(|(name, negated)| format!("{}{name}", if *negated { "!" } else { "" }))
        .collect::<Vec<_>>()
        .join(",")
}

fn as_whom(commands: &Value) -> String {
    let users = commands.get("runasusers").map(|list| joined(&last_of_each(members(list))));
    let groups = commands.get("runasgroups").map(|list| bare_groups(members(list)));
    match (users, groups) {
        (None, None) => "root".into(),
        (users, None) => users.unwrap_or_default(),
        (users, Some(groups)) => format!("{}:{groups}", users.unwrap_or_default()),
    }
}

/// cvtsudoers calls every name in a list of groups a group, `adm` as well as `%adm`.
fn bare_groups(list: Vec<(String, bool)>) -> String {
    let bare = list.into_iter().map(|(name, negated)| (name.trim_start_matches('%').to_owned(), negated));
    joined(&last_of_each(bare.collect()))
}

fn allowed(commands: &Value) -> Vec<Allowed> {
    let mut conditions = BTreeSet::new();
    let selinux = commands["SELinux_Spec"].as_array().into_iter().flatten();
    for option in commands["Options"].as_array().into_iter().flatten().chain(selinux) {
        let (name, value) = option.as_object().unwrap().iter().next().unwrap();
        let tag = |yes: &str, no: &str| if *value == true { yes.to_owned() } else { no.to_owned() };
        conditions.insert(match name.as_str() {
            "authenticate" => tag("PASSWD", "NOPASSWD"),
            "noexec" => tag("NOEXEC", "EXEC"),
            "setenv" => tag("SETENV", "NOSETENV"),
            "log_input" => tag("LOG_INPUT", "NOLOG_INPUT"),
            "log_output" => tag("LOG_OUTPUT", "NOLOG_OUTPUT"),
            "send_mail" => tag("MAIL", "NOMAIL"),
            "sudoedit_follow" => tag("FOLLOW", "NOFOLLOW"),
            "intercept" => tag("INTERCEPT", "NOINTERCEPT"),
            "runcwd" => format!("CWD={}", text(value)),
            "runchroot" => format!("CHROOT={}", text(value)),
            "role" => format!("ROLE={}", text(value)),
            "type" => format!("TYPE={}", text(value)),
            "command_timeout" | "notbefore" | "notafter" => continue,
            other => panic!("cvtsudoers knows an option this test does not: {other}"),
        });
    }
    let list = commands["Commands"].as_array().unwrap();
    list.iter()
        .map(|command| {
            let (name, denied) = member(command);
            let digests = command.as_object().unwrap().iter().filter(|(kind, _)| kind.starts_with("sha"));
            Allowed {
                command: name.replace("\\ ", " "),
                denied,
                conditions: conditions.clone(),
                digests: digests.map(|(kind, digest)| format!("{kind}:{}", text(digest))).collect(),
                not_for: BTreeSet::new(),
            }
        })
        .collect()
}

fn scope_sign(binding: &Value) -> &'static str {
    // cvtsudoers does not say which kind a list is but by its members.
    let Some(first) = binding.as_array().and_then(|list| list.first()).and_then(Value::as_object) else { return "" };
    let kinds: BTreeSet<&str> = first.keys().map(String::as_str).collect();
    if kinds.contains("command") || kinds.contains("cmndalias") {
        "!"
    } else if kinds.contains("hostname") || kinds.contains("networkaddr") {
        "@"
    } else {
        ":"
    }
}

/// The setting's name, and its values in order: `true`, `false`, `x`, `+x`, `-x`.
fn setting(option: &Value) -> (String, Vec<String>) {
    let fields = option.as_object().unwrap();
    let said = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some(operation) = fields.get("operation") {
        let sign = match operation.as_str().unwrap() {
            "list_add" => "+",
            "list_remove" => "-",
            _ => "",
        };
        let (name, values) = fields.iter().find(|(key, _)| *key != "operation").unwrap();
        return (name.clone(), vec![format!("{sign}{}", words(&strings(values).join(" ")))]);
    }
    let (name, value) = fields.iter().next().unwrap();
    (name.clone(), vec![said(value)])
}
