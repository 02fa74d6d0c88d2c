//! Why a command that sudo or doas lets somebody run as root amounts to root.
//!
//! A command amounts to root where it is `ALL`, or any program of a folder; where it can start a shell, write what root
//! believes or install what root runs (the table in [`super::programs`]); where its arguments are free, or a wildcard leaves
//! them so (in arguments `*` spans blanks and slashes: sudoers(5), "Wildcards"; for sudoedit blanks only); where the caller may set `LD_PRELOAD` for it;
//! or where others can write its file. Fixed arguments are believed.

use super::groups;
use super::programs::{self, Kind};
use crate::glob::Glob;

/// What a rule says of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arguments<'a> {
    /// Any at all.
    Any,
    /// These, with wildcards that span everything.
    Wild,
    /// Exactly these, perhaps none.
    Fixed(&'a str),
}

/// A command of sudoers in its parts: the file or pattern, and its arguments.
pub(super) fn parts(command: &str) -> (&str, Arguments<'_>) {
    let mut escaped = false;
    let end = command.char_indices().find(|(_, sign)| {
        let ends = *sign == ' ' && !escaped;
        escaped = *sign == '\\' && !escaped;
        ends
    });
    let Some((file, arguments)) = end.and_then(|(at, _)| Some((command.get(..at)?, command.get(at + 1..)?))) else {
        return (command, Arguments::Any);
    };
    let wild = if arguments.starts_with('^') {
        [".*", ".+", "[^"].iter().any(|wide| arguments.contains(wide))
    } else {
        has_star(arguments)
    };
    (file, if wild { Arguments::Wild } else { Arguments::Fixed(if arguments == "\"\"" { "" } else { arguments }) })
}

/// Whether `*` stands in a pattern without a backslash before it.
fn has_star(pattern: &str) -> bool {
    let mut escaped = false;
    pattern.chars().any(|sign| {
        let star = sign == '*' && !escaped;
        escaped = sign == '\\' && !escaped;
        star
    })
}

/// Why `command`, as sudoers writes it, amounts to root; `None` if nothing known says so.
pub(super) fn why(command: &str, noexec: bool) -> Option<String> {
    let (file, arguments) = parts(command);
    if file == "ALL" {
        return Some("ALL is any command".into());
    }
    if file == "sudoedit" {
        return edits(arguments);
    }
    if file.starts_with('^') {
        let wide = [".*", ".+", "[^"].iter().any(|wide| file.contains(wide));
        return wide.then(|| format!("{file} fits any program"));
    }
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    if name.is_empty() && file.starts_with('/') {
        return Some(format!("{file} is any program in that folder"));
    }
    if name.contains(['*', '?', '[']) {
        let fits = programs::PROGRAMS.iter().flat_map(|(kind, names)| names.split(' ').map(move |name| (*kind, name)));
        let usual = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"].iter().any(|usual| fits_glob(folder, usual));
        let found = fits.filter(|_| usual).find_map(|(kind, listed)| {
            let listed = listed.trim_end_matches('*');
            let reason = program(listed, kind, arguments, noexec)?;
            fits_glob(name, listed).then(|| format!("{file} fits {reason}"))
        });
        return found;
    }
    program(name, programs::kind(name)?, arguments, noexec)
}

/// The same of a command of doas, which knows no wildcards: any arguments, or exactly these.
pub(super) fn why_literal(command: &str, arguments: Option<&str>) -> Option<String> {
    let name = command.rsplit('/').next()?;
    program(name, programs::kind(name)?, arguments.map_or(Arguments::Any, Arguments::Fixed), false)
}

/// Why the program `name` does, with such arguments.
fn program(name: &str, kind: Kind, arguments: Arguments<'_>, noexec: bool) -> Option<String> {
    let said = Some(format!("{name} {}", kind.why()));
    let Arguments::Fixed(text) = arguments else {
        return match arguments {
            _ if kind == Kind::Pager && noexec => None,
            Arguments::Wild => said.map(|said| format!("{said}, and `*` in its arguments fits everything")),
            Arguments::Any | Arguments::Fixed(_) => said,
        };
    };
    let words = || text.split(' ').filter(|word| !word.is_empty());
    match kind {
        Kind::Pager => said.filter(|_| !noexec),
        Kind::Interactive => {
            let told = words().any(|word| ["-e", "-c", "--execute", "--command", "-f", "--file"].contains(&word));
            said.filter(|_| !told || !["mysql", "mariadb", "psql", "sqlite3", "gdb"].contains(&name))
        }
        Kind::Shell => said.filter(|_| words().all(|word| word.starts_with('-') && word != "-c" && word != "-e")),
        Kind::Input => said.filter(|_| !words().any(|word| word == "-l" || word == "-r")),
        Kind::Becomes => becomes(text).then(|| format!("{name} becomes root")),
        Kind::Accounts => {
            let named =
                words().flat_map(|word| word.split(',')).find(|word| *word == "root" || groups::administers(word))?;
            Some(format!("{name} changes {named}"))
        }
        Kind::Writes => {
            let path = |word: &'_ str| word.find('/').and_then(|at| word.get(at..)).map(str::to_owned);
            let target = words().filter_map(path).find(|path| programs::trusted(path))?;
            Some(format!("{name} may write {target}"))
        }
        Kind::Runs => words().enumerate().find_map(|(at, word)| {
            let inner = programs::kind(word.rsplit('/').next()?)?;
            let rest = words().skip(at + 1).collect::<Vec<_>>().join(" ");
            // What the inner program is, not what it may run in turn: one step is enough.
            let runs = matches!(inner, Kind::Shell | Kind::Interactive | Kind::Pager | Kind::Input | Kind::Becomes);
            let reason = program(word, inner, Arguments::Fixed(&rest), noexec).filter(|_| runs)?;
            Some(format!("{name} runs {reason}"))
        }),
        Kind::Manages => {
            let telling = words().find(|word| {
                ["edit", "link", "set-environment", "--privileged"].contains(word) || word.contains("/:/")
            })?;
            Some(format!("{name} {telling} {}", kind.why()))
        }
    }
}

/// Whether `su` with these arguments may become root: the first word that is no option is the user.
fn becomes(arguments: &str) -> bool {
    let mut value = false;
    for word in arguments.split(' ').filter(|word| !word.is_empty()) {
        if std::mem::take(&mut value) || word == "-" {
            continue;
        }
        match word {
            "-c" | "-s" | "-g" | "-G" | "-w" | "--command" | "--shell" | "--group" => value = true,
            "-u" | "--user" => {}
            option if option.starts_with('-') => {}
            user => return user == "root" || user == "#0",
        }
    }
    true
}

/// Why editing these files does. sudoedit itself refuses links and folders that the caller can write.
fn edits(arguments: Arguments<'_>) -> Option<String> {
    match arguments {
        Arguments::Any => Some("sudoedit edits any file".into()),
        Arguments::Wild => {
            Some("sudoedit edits any file: `*` fits a blank and a second name, from the folder one stands in".into())
        }
        Arguments::Fixed(files) => {
            let file = files.split(' ').find(|file| programs::trusted(file))?;
            Some(format!("sudoedit edits {file}, which root trusts"))
        }
    }
}

/// Whether `pattern` (`*`, `?` and sets, as in fnmatch(3)) fits `name`.
fn fits_glob(pattern: &str, name: &str) -> bool {
    Glob::of_paths(pattern).is_ok_and(|glob| glob.matches(name))
}

/// The files a command names: its own, and absolute paths among fixed arguments of what runs scripts.
pub(super) fn files(command: &str) -> impl Iterator<Item = &str> {
    let (file, arguments) = parts(command);
    let name = file.rsplit('/').next().unwrap_or_default();
    let runs = matches!(programs::kind(name), Some(Kind::Shell | Kind::Runs | Kind::Manages));
    let words = match arguments {
        Arguments::Fixed(text) if runs => text,
        Arguments::Fixed(_) | Arguments::Any | Arguments::Wild => "",
    };
    let plain = |path: &&str| path.starts_with('/') && !path.ends_with('/') && !path.contains(['*', '?', '[']);
    std::iter::once(file).chain(words.split(' ')).filter(plain)
}
