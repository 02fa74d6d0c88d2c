//! The rules of the house, as tests: what a reader may rely on in every file of the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::processes::run;

/// The longest a source file may be; a second idea starts long before.
const LONGEST: usize = 450;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file of the repository that is ours, relative to it; not what is built or kept by git.
fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if ["target", ".git"].contains(&name.as_str()) {
                continue;
            }
            match path.is_dir() && !path.is_symlink() {
                true => walk(&path, found),
                false => found.push(path.strip_prefix(workspace()).unwrap().to_owned()),
            }
        }
    }
    let mut found = Vec::new();
    walk(workspace(), &mut found);
    found.sort();
    assert!(found.len() > 30, "found only {found:?}");
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files().into_iter().filter(is_rust).map(|path| (path.clone(), text(&path))).collect()
}

fn text(path: &Path) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn none(what: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{what}:\n  {}", offenders.join("\n  "));
}

#[test]
fn every_source_file_opens_by_saying_what_it_is_for() {
    let silent: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    none("these do not open with //!", &silent);
}

#[test]
fn no_source_file_is_longer_than_one_idea() {
    let long = sources().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > LONGEST).then(|| format!("{}: {lines} lines", path.display()))
    });
    none("these are longer than 450 lines", &long.collect::<Vec<_>>());
}

#[test]
fn nothing_committed_names_a_folder_of_the_machine_it_was_written_on() {
    let mut forbidden = vec![workspace().display().to_string(), format!("/{}/", "work")];
    // Where toolchains and caches stand in somebody's home; written in two halves, or this line would be one.
    forbidden.extend(["cargo", "rustup", "cache", "pyenv"].map(|folder| format!("/{}/.{folder}", "root")));
    let mut named = Vec::new();
    for path in files() {
        let Ok(text) = fs::read_to_string(workspace().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(found) = forbidden.iter().find(|place| line.contains(place.as_str())) {
                named.push(format!("{}:{}: {found}", path.display(), number + 1));
            }
        }
    }
    none("these name a folder of one machine", &named);
}

#[test]
fn no_test_is_ignored() {
    let marker = format!("#[{}", "ignore");
    let ignored: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| text.contains(&marker))
        .map(|(path, _)| path.display().to_string())
        .collect();
    none("a test that does not run proves nothing; these hold one", &ignored);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = text(Path::new("Cargo.toml"));
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let lines: Vec<&str> =
        table.lines().skip(1).take_while(|line| !line.starts_with('[')).filter(|line| line.contains(" = ")).collect();
    assert!(lines.len() > 20, "{lines:?}");
    let bare = |line: &&&str| !line.starts_with('#') && !line.contains("path = ") && !line.contains("# ");
    none("these say no reason", &lines.iter().filter(bare).map(|line| (*line).to_owned()).collect::<Vec<_>>());
}

#[test]
fn member_crates_take_every_dependency_from_the_one_table() {
    let mut own = Vec::new();
    for member in ["audit", "agent", "collector", "tests"] {
        let manifest = text(&Path::new(member).join("Cargo.toml"));
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let is_entry = section.ends_with("dependencies]") && line.contains('=') && !line.starts_with('#');
            if is_entry && !line.contains("workspace = true") && !line.contains("workspace=true") {
                own.push(format!("{member}: {line}"));
            }
        }
    }
    none("these stand outside the workspace's table", &own);
}

/// Two TLS stacks would be one too many to keep patched, and OpenSSL would tie the agent to a distribution.
#[test]
fn one_tls_stack_is_linked_and_it_is_ring() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--workspace", "--locked", "--prefix", "none", "--format", "{p}"]).current_dir(workspace());
    let crates = run(&mut tree).ok().stdout;
    let names: Vec<&str> = crates.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"ring") && names.contains(&"rustls"), "{names:?}");
    for unwanted in ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"] {
        assert!(!names.contains(&unwanted), "{unwanted} is in `cargo tree --workspace`");
    }
}

/// A probe's documentation is its doc comment: `UPDATE=1 cargo test -p plumbline-tests --test house` writes the pages.
#[test]
fn the_probe_pages_are_the_probes_own_words() {
    let pages = workspace().join("docs/probes");
    let names = audit::probes::names();
    assert!(!names.is_empty());
    let page = |name: &str| {
        let source = PathBuf::from(format!("audit/src/probes/{name}.rs"));
        let comment: Vec<String> = text(&source)
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
            .collect();
        format!("<!-- Generated from {}: change it there. -->\n\n{}\n", source.display(), comment.join("\n"))
    };
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(&pages).unwrap();
        for name in &names {
            fs::write(pages.join(format!("{name}.md")), page(name)).unwrap();
        }
    }
    let mut written: Vec<String> = fs::read_dir(&pages)
        .unwrap_or_else(|error| panic!("docs/probes: {error}; UPDATE=1 writes it"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    let mut due: Vec<String> = names.iter().map(|name| format!("{name}.md")).collect();
    due.sort();
    assert_eq!(written, due, "docs/probes holds one page for each probe and nothing else");
    for name in names {
        let found = fs::read_to_string(pages.join(format!("{name}.md"))).unwrap();
        assert_eq!(found, page(name), "docs/probes/{name}.md is stale: UPDATE=1 writes it");
    }
}
