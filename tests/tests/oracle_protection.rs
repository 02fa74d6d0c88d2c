//! The protection probe against ClamAV's own sigtool: databases it builds, and what it says of their headers. Needs root.
//! `hosts_units` shows a clamd that runs and one that is stopped to the probe.

use std::fs;
use std::path::Path;
use std::process::Command;

use plumbline_tests::agent::plumbline;
use plumbline_tests::processes::run;
use tempfile::TempDir;

/// What sigtool says after `key: `.
fn said(info: &str, key: &str) -> String {
    let line = info.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("sigtool says no {key}: {info}")).trim().to_owned()
}

#[test]
fn the_header_of_a_database_says_what_sigtool_reads_in_it() {
    let (work, root) =
        (TempDir::with_prefix("plumbline-clamav-").unwrap(), TempDir::with_prefix("plumbline-clamav-").unwrap());
    let place = root.path().join("var/lib/clamav");
    fs::create_dir_all(&place).unwrap();
    fs::write(work.path().join("COPYING"), "").unwrap(); // sigtool asks for one
    fs::write(work.path().join("daily.ndb"), "Plumbline.Test-1:0:*:706c756d626c696e652d74657374\n").unwrap();
    let (mut agreed, mut count) = (0, 0);
    // Of two forms of one database the newer counts.
    for (version, file) in
        [(27, "daily.cvd"), (31, "main.cld"), (333, "bytecode.cvd"), (28, "daily.cld"), (26, "main.cvd")]
    {
        let built = work.path().join("daily.cud");
        let mut build = Command::new("sigtool");
        build.current_dir(work.path()).env("SIGNDUSER", "plumbline").arg("--unsigned");
        build.arg(format!("--cvd-version={version}")).arg("--build=daily.cud").stdin(std::process::Stdio::null());
        let ran = run(&mut build);
        assert!(built.exists(), "{ran}");
        fs::rename(built, place.join(file)).unwrap();
        let name = file.split('.').next().unwrap();
        let counts = if file == "main.cvd" { "main.cld" } else { file };
        compare(&place.join(counts), root.path(), name, &mut agreed, &mut count);
    }
    println!("ClamAV headers: {agreed} of {count} agreed");
    assert_eq!(count, 5);
}

fn compare(built: &Path, root: &Path, name: &str, agreed: &mut usize, count: &mut usize) {
    let info = run(Command::new("sigtool").env("TZ", "UTC").env("LANG", "C").arg("--info").arg(built)).stdout;
    let facts = run(plumbline(&["facts", "protection", "--format", "json", "--root"]).arg(root)).ok().json();
    let seen = &facts["protection"]["state"][format!("definitions:clamav/{name}")];
    let seconds =
        run(Command::new("date").args(["-u", "+%d %b %Y %H-%M", "-d"]).arg(format!("@{}", seen["built"]))).ok();
    *count += 1;
    let time = said(&info, "Build time:").replace(':', "-");
    let version: u64 = said(&info, "Version:").parse().unwrap();
    let holds = seen["version"] == version && time.starts_with(seconds.stdout.trim());
    *agreed += usize::from(holds);
    assert!(holds, "{info}\n{seen}\n{}", seconds.stdout);
}
