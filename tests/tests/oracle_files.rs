//! Files against the system's own tools: stat(1), getfacl, getcap, sha256sum and grep over a generated tree.
//!
//! Needs root, for owners and capabilities.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{binary, run};
use serde_json::Value;
use tempfile::TempDir;

/// A root with the machine's own account files and, under `tree`, some hundred files of every kind.
fn root() -> TempDir {
    assert!(rustix::process::geteuid().is_root(), "owners and capabilities need root: run this by `tests/run`");
    let folder = TempDir::with_prefix("plumbline-files-").unwrap();
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    for name in ["etc/passwd", "etc/group"] {
        fs::copy(Path::new("/").join(name), folder.path().join(name)).unwrap();
    }
    let mut dice = Dice::new(20_261_122);
    let names = ["a", "conf", ".hidden", "name with blanks", "umlaut-ä", "-rf", "back`tick", "star*", "x.y.z"];
    for number in 0..300 {
        let below = match dice.roll(3) {
            0 => format!("tree/{number} {}", dice.pick(&names)),
            1 => format!("tree/sub{}/{number} {}", dice.roll(5), dice.pick(&names)),
            _ => format!("tree/sub{}/deep{}/{number} {}", dice.roll(5), dice.roll(3), dice.pick(&names)),
        };
        make(&folder.path().join(below), &mut dice);
    }
    folder
}

/// One file, folder, link or FIFO.
fn make(path: &Path, dice: &mut Dice) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match dice.roll(12) {
        0 => return symlink(dice.pick(&["/etc/passwd", "nowhere", "..", "../../../../../etc/group"]), path).unwrap(),
        1 => fs::create_dir(path).unwrap(),
        2 => {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }
        _ => {
            let lines = ["root", "PermitRootLogin no", "# PermitRootLogin yes", "", "  x = 1\t", "äöü", "\u{0}"];
            let content: Vec<&str> = (0..dice.roll(20)).map(|_| dice.pick(&lines)).collect();
            fs::write(path, content.join(dice.pick(&["\n", "\n", "\r\n"]))).unwrap();
        }
    }
    let owners = [0, 1, 33, 1000, 4242, 65534];
    chown(path, Some(owners[dice.roll(6)]), Some(owners[dice.roll(6)])).unwrap();
    let modes = [0o644, 0o600, 0o666, 0o777, 0o755, 0o4755, 0o2755, 0o1777, 0, 0o6711, 0o640];
    fs::set_permissions(path, fs::Permissions::from_mode(modes[dice.roll(modes.len())])).unwrap();
    if dice.roll(4) == 0 {
        let entry = dice.pick(&["u:1:r", "u:4242:rwx,g:33:-,m::rx", "g:adm:r,u::rw", "u:daemon:rwx,m::-"]);
        run(Command::new("setfacl").args(["-m", entry]).arg(path)).ok();
    }
    if path.is_file() && dice.roll(5) == 0 {
        let all =
            ["cap_net_raw=ep", "cap_net_bind_service,cap_net_admin=ei", "cap_bpf=p", "cap_chown=eip cap_kill=ei", "="];
        run(Command::new("setcap").arg(dice.pick(&all)).arg(path)).ok();
    }
}

fn below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("tree")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    assert!(found.len() >= 300);
    found
}

/// What the probe says under `rule`: items and state.
fn ours(root: &Path, rule: &str) -> (Value, Value) {
    let baseline = root.join("baseline.yaml");
    let text = format!(
        "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: r, title: t, severity: low, why: w, fix: f, files: {rule}}}\n"
    );
    fs::write(&baseline, text).unwrap();
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", "files", "--baseline"]).arg(&baseline).arg("--root").arg(root);
    let mut said = run(&mut facts).ok().json();
    (said["files"]["items"].take(), said["files"]["state"].take())
}

fn inside(root: &Path, path: &Path) -> String {
    format!("/{}", path.strip_prefix(root).unwrap().to_str().unwrap())
}

/// What a link leads to inside the root, as [`make`] made them; `None` where to nothing.
fn target(root: &Path, path: &Path) -> Option<PathBuf> {
    if !path.is_symlink() {
        return Some(path.to_owned());
    }
    match fs::read_link(path).unwrap().to_str().unwrap() {
        "nowhere" => None,
        ".." => path.parent().unwrap().parent().map(Path::to_owned),
        to => Some(root.join("etc").join(Path::new(to).file_name().unwrap())),
    }
}

/// Kind, mode, owner and group, by stat(1).
fn by_stat(root: &Path, path: &Path) -> Vec<String> {
    let said =
        run(Command::new("stat").args(["-c", "%F|%a|%U|%G|%u|%g"]).arg(target(root, path).unwrap_or(path.into())));
    let fields: Vec<&str> = said.stdout.trim().split('|').collect();
    let kind = match fields[0] {
        "regular file" | "regular empty file" => "file",
        "directory" => "directory",
        "symbolic link" => "link",
        _ => "other",
    };
    let named = |name: usize, number: usize| fields[if fields[name] == "UNKNOWN" { number } else { name }].to_owned();
    vec![kind.to_owned(), format!("{:0>4}", fields[1]), named(2, 4), named(3, 5)]
}

/// The access control list beyond the mode, by getfacl.
fn by_getfacl(path: &Path) -> Option<String> {
    let said = run(Command::new("getfacl").args(["-c", "-p", "-E", "-s", "--"]).arg(path)).ok().stdout;
    let entries =
        said.lines().filter(|line| !line.is_empty() && !line.starts_with("user::") && !line.starts_with("other::"));
    let entries: Vec<&str> = entries.filter(|line| !line.starts_with("default:")).collect();
    (!entries.is_empty()).then(|| entries.join(","))
}

/// Capability by capability its flags, as getcap or the probe writes them: `cap_chown=eip cap_kill+ei`.
fn flags(said: &str) -> BTreeMap<String, BTreeSet<char>> {
    let mut all: BTreeMap<String, BTreeSet<char>> = BTreeMap::new();
    for group in said.split_whitespace().filter(|group| group.len() > 1) {
        let (names, flags) = group.split_once(['=', '+']).unwrap();
        for name in names.split(',') {
            all.entry(name.to_owned()).or_default().extend(flags.chars());
        }
    }
    all
}

fn by_getcap(path: &Path) -> Option<BTreeMap<String, BTreeSet<char>>> {
    let said = run(Command::new("getcap").arg(path)).ok().stdout;
    said.trim().strip_prefix(path.to_str().unwrap()).map(flags)
}

fn field(item: &Value, name: &str) -> Option<String> {
    item["file"][name].as_str().map(str::to_owned)
}

#[test]
fn owners_modes_lists_capabilities_and_sums_are_those_the_tools_tell() {
    let root = root();
    let root = root.path();
    let (items, _) = ours(root, "{paths: [\"/tree/**\"], tracked: true}");
    let paths = below(root);
    let (mut compared, mut lists, mut sets, mut sums) = (0, 0, 0, 0);
    for path in &paths {
        let own = inside(root, path);
        let item = &items[&own];
        let said: Vec<String> =
            ["kind", "mode", "owner", "group"].map(|name| field(item, name).unwrap_or_default()).to_vec();
        assert_eq!(said, by_stat(root, path), "{own}: {item}");
        let link = fs::read_link(path).ok().map(|to| to.to_str().unwrap().to_owned());
        assert_eq!(field(item, "link"), link, "{own}");
        compared += 1;
        if link.is_none() {
            let list = by_getfacl(path);
            assert_eq!(field(item, "acl"), list, "{own}");
            lists += usize::from(list.is_some());
            let set = by_getcap(path);
            assert_eq!(field(item, "capabilities").map(|said| flags(&said)), set, "{own}");
            sets += usize::from(set.is_some());
        }
        let content = target(root, path).filter(|target| target.is_file());
        let sum =
            content.map(|target| run(Command::new("sha256sum").arg("--").arg(target)).ok().stdout[..64].to_owned());
        // sha256sum marks a name it had to escape by a backslash before the sum.
        assert_eq!(items[format!("sha256:{own}")]["sha256"].as_str(), sum.as_deref(), "{own}");
        sums += usize::from(sum.is_some());
    }
    let seen = items.as_object().unwrap().keys().filter(|subject| subject.starts_with("/tree/")).count();
    assert_eq!(seen, paths.len(), "no more and no fewer");
    assert!(lists >= 30 && sets >= 20 && sums >= 150, "{lists} {sets} {sums}: the tree no longer tests much");
    println!(
        "{compared} of {} agreed with stat; {lists} access control lists with getfacl, {sets} capability sets with getcap, {sums} sums with sha256sum",
        paths.len()
    );
}

#[test]
fn a_line_matches_where_grep_finds_it() {
    let root = root();
    let root = root.path();
    let patterns = [
        "^PermitRootLogin",
        "no$",
        "^[[:space:]]*x[[:space:]]*=",
        "^$",
        "(root|yes)",
        "^#",
        "o{2}",
        "[^a-z ]",
        "ä",
        "x.*y",
        "\\bno\\b",
    ];
    let quoted: Vec<String> = patterns.iter().map(|pattern| format!("'{pattern}'")).collect();
    let (_, state) = ours(root, &format!("{{paths: [\"/tree/**\"], lacks: [{}]}}", quoted.join(", ")));
    let (mut compared, mut found) = (0, 0);
    for path in below(root).iter().filter(|path| path.is_file() && !path.is_symlink()) {
        let lines = &state[inside(root, path)]["lines"];
        for pattern in patterns {
            let mut grep = Command::new("grep");
            grep.env("LC_ALL", "C").args(["-a", "-q", "-E", "-e", pattern, "--"]).arg(path);
            let there = run(&mut grep).code == 0;
            assert_eq!(lines[pattern], there, "{pattern} in {}", path.display());
            compared += 1;
            found += usize::from(there);
        }
    }
    assert!(compared >= 1000 && found >= 300, "{compared} {found}");
    println!("{compared} of {compared} agreed with grep, {found} of them found");
}
