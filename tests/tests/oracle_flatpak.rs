//! Flatpaks against flatpak itself: `flatpak list` of an installation that flatpak filled from a repository made here.
//!
//! Needs root: it stands for the installation of the whole system.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use plumbline_tests::processes::{binary, run};
use tempfile::TempDir;

const RUNTIME: &str = "org.example.Platform";

/// Builds one app or runtime into the repository.
fn export(folder: &Path, id: &str, branch: &str, content: &str) {
    let made = folder.join(format!("{id}-{branch}"));
    let runtime = id == RUNTIME;
    let (kind, within) = if runtime { ("Runtime", "usr") } else { ("Application", "files") };
    for part in ["files", "usr", "export"] {
        fs::create_dir_all(made.join(part)).unwrap();
    }
    fs::write(made.join(within).join("content"), content).unwrap();
    let of = format!("{RUNTIME}/x86_64/1");
    fs::write(made.join("metadata"), format!("[{kind}]\nname={id}\nruntime={of}\nsdk={of}\n")).unwrap();
    let mut flatpak = flatpak(folder);
    flatpak.args(["build-export", "--disable-sandbox", "--arch", "x86_64"]);
    if runtime {
        flatpak.arg("--runtime");
    }
    run(flatpak.arg(folder.join("repository")).arg(&made).arg(branch)).ok();
}

fn flatpak(folder: &Path) -> Command {
    let mut flatpak = Command::new("flatpak");
    flatpak.env("FLATPAK_SYSTEM_DIR", folder.join("root/var/lib/flatpak")).env("LANG", "C");
    flatpak.env("HOME", folder.join("home")).env("XDG_DATA_HOME", folder.join("home"));
    flatpak
}

#[test]
fn what_is_installed_is_what_flatpak_lists() {
    let folder = TempDir::with_prefix("plumbline-flatpak-").unwrap();
    let root = folder.path().join("root");
    for part in ["var/lib/flatpak", "var/lib/dpkg"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    fs::create_dir_all(folder.path().join("home")).unwrap();
    let stanza = "Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n";
    fs::write(root.join("var/lib/dpkg/status"), stanza).unwrap();
    let installs = |words: &[&str]| {
        let mut flatpak = flatpak(folder.path());
        run(flatpak.arg("--system").args(words).args(["-y", "--noninteractive"])).ok();
    };
    export(folder.path(), RUNTIME, "1", "one");
    export(folder.path(), RUNTIME, "2", "two");
    let apps = ["org.example.App", "org.example.Editor_2", "com.example.a-b", "io.github.one.Two"];
    for app in apps {
        for branch in ["stable", "beta"] {
            export(folder.path(), app, branch, app);
        }
    }
    let repository = format!("file://{}", folder.path().join("repository").display());
    run(flatpak(folder.path()).args(["--system", "remote-add", "--no-gpg-verify", "here", &repository])).ok();
    installs(&["install", "here", &format!("{RUNTIME}//1")]);
    installs(&["install", "here", &format!("{RUNTIME}//2")]);
    for app in apps {
        for branch in ["stable", "beta"] {
            installs(&["install", "here", &format!("{app}//{branch}")]);
        }
    }
    // One is renewed, one goes.
    export(folder.path(), apps[0], "beta", "renewed");
    installs(&["update", &format!("{}//beta", apps[0])]);
    installs(&["uninstall", &format!("{}//beta", apps[1])]);

    let columns = "--columns=application,arch,branch,active";
    let listed = run(flatpak(folder.path()).args(["--system", "list", columns])).ok().stdout;
    let theirs: BTreeSet<Vec<String>> =
        listed.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    assert_eq!(theirs.len(), 9, "{listed}");
    let mut facts = Command::new(binary("plumbline"));
    let facts = run(facts.args(["facts", "packages", "--format", "json", "--root"]).arg(&root)).ok().json();
    let items = facts["packages"]["items"].as_object().unwrap_or_else(|| panic!("{facts:#}"));
    let ours: BTreeSet<Vec<String>> = items
        .iter()
        .filter(|(_, item)| item["manager"] == "flatpak")
        .map(|(subject, item)| {
            let word = |key: &str| item[key].as_str().unwrap_or_else(|| panic!("{item:#}")).to_owned();
            let branch = subject.rsplit('/').next().unwrap().split(':').next().unwrap().to_owned();
            vec![word("name"), word("architecture"), branch, word("version")]
        })
        .collect();
    assert_eq!(ours, theirs, "{facts:#}");
    println!("flatpak list: {0} of {0} agreed", theirs.len());
}
