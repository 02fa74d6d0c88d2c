//! What modprobe is told about modules: modprobe.d(5), as kmod reads it.

use std::collections::BTreeMap;

use super::{Setting, folders, short, too_many};
use crate::facts::Observed;
use crate::host::Host;

const FOLDERS: [&str; 5] =
    ["/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];
/// The most modules that may be configured.
const MOST: usize = 2000;

pub(super) fn configured(host: &dyn Host, items: &mut Observed<Setting>) {
    let files = match folders::merged(host, &FOLDERS, ".conf") {
        Ok(files) => files,
        Err(gap) => return items.hide("module:", gap),
    };
    // Of each module its words in order, and the file that spoke first.
    let mut told: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for (file, text) in &files {
        for line in lines(text) {
            let Some((module, said)) = directive(&line) else { continue };
            let (words, _) = told.entry(module).or_insert_with(|| (Vec::new(), file.clone()));
            // Of several commands modprobe runs the first.
            let command = ["install ", "remove "].into_iter().find(|command| said.starts_with(command));
            let again = command.is_some_and(|command| words.iter().any(|word| word.starts_with(command)));
            if !again && !words.contains(&said) {
                words.push(said);
            }
        }
        if told.len() > MOST {
            return items.hide("module:", too_many("configured modules", MOST));
        }
    }
    for (module, (mut words, file)) in told {
        words.sort();
        let setting = Setting::new(short(&words.join("; ")), file);
        items.seen.insert(format!("module:{}", short(&module)), setting);
    }
}

/// Lines, those that end in a backslash joined with the next.
fn lines(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text.lines();
    std::iter::from_fn(move || {
        let mut line = rest.next()?.to_owned();
        while line.ends_with('\\') {
            line.pop();
            line.push_str(rest.next().unwrap_or_default());
        }
        Some(line)
    })
}

/// A line's module, and what it says of it. An alias is a name, not a decision about a module.
fn directive(line: &str) -> Option<(String, String)> {
    let mut words = line.split_ascii_whitespace();
    let (word, module) = (words.next()?, words.next()?);
    let rest: Vec<&str> = words.collect();
    let said = match word {
        "blacklist" => "blacklist".to_owned(),
        "install" | "remove" | "options" | "softdep" | "weakdep" if !rest.is_empty() => {
            format!("{word} {}", rest.join(" "))
        }
        _ => return None,
    };
    Some((name(module), said))
}

/// As the kernel writes it.
pub(super) fn name(module: &str) -> String {
    module.replace('-', "_")
}

/// Whether loading it by name is turned away: its command does nothing.
pub(super) fn is_disabled(setting: &Setting) -> bool {
    let mut commands = setting.value.split("; ").filter_map(|said| said.strip_prefix("install "));
    commands.any(|command| {
        let program = command.split_ascii_whitespace().next().unwrap_or_default();
        ["/bin/false", "/bin/true", "/usr/bin/false", "/usr/bin/true", "/sbin/nologin"].contains(&program)
    })
}
