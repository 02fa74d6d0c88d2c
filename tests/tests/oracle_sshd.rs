//! The sshd probe against sshd itself: `sshd -T` prints what a configuration comes to, and `sshd -T -C` what a connection
//! gets. Each configuration is generated, with includes and Match blocks, and read by both as `/etc/ssh`: sshd in a mount
//! namespace of its own, the probe as a recorded host. No server is started.

use std::collections::BTreeMap;
use std::process::Command;

use audit::host::Recorded;
use audit::probe::Probe as _;
use audit::probes::sshd::{Connection, Sshd, SshdFacts, Value, Version, effective};
use plumbline_tests::processes::run;
use plumbline_tests::rounds;
use tempfile::TempDir;

mod oracle_sshd {
    pub mod generate;
}

use oracle_sshd::generate::Generator;

/// Who connects, from where. The users must be this machine's, with the groups they have here: sshd asks for them.
const CONNECTIONS: [(&str, &str, &str, &str, u16); 4] = [
    ("root", "desk.example.org", "10.1.2.3", "192.0.2.1", 22),
    ("daemon", "far.example.net", "198.51.100.7", "192.0.2.1", 2222),
    ("bin", "UNKNOWN", "2001:db8::7", "2001:db8::1", 22),
    ("mail", "web.example.org", "10.200.0.1", "10.0.0.1", 443),
];

/// What is set by makers of distributions, so that no default is known: counted, not compared, unless it is set.
const LEFT_OPEN: [&str; 19] = [
    "gssapicleanupcredentials",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapistorecredentialsonrekey",
    "gssapistrictacceptorcheck",
    "hostkey",
    "ipqos",
    "kerberosorlocalpasswd",
    "kerberosticketcleanup",
    "kexalgorithms",
    "listenaddress",
    "modulifile",
    "persourcemaxstartups",
    "persourcenetblocksize",
    "pidfile",
    "requiredrsasize",
    "securitykeyprovider",
    "unusedconnectiontimeout",
    "xauthlocation",
];

struct Oracle {
    version: Version,
    key: Vec<u8>,
    groups: BTreeMap<&'static str, Vec<String>>,
}

/// What sshd said: settings without a connection and for each, or why it refuses.
type Said = Result<Vec<BTreeMap<String, Vec<String>>>, String>;

impl Oracle {
    fn new() -> Self {
        let folder = TempDir::with_prefix("plumbline-sshd-").unwrap();
        let key = folder.path().join("key");
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key)).ok();
        let package = run(Command::new("dpkg-query").args(["-W", "-f", "${Version}", "openssh-server"])).ok().stdout;
        let mut groups = BTreeMap::new();
        for (user, ..) in CONNECTIONS {
            let told = run(Command::new("id").args(["-Gn", user])).ok().stdout;
            groups.insert(user, told.split_whitespace().map(str::to_owned).collect());
        }
        let version = Version::of_package(&package).unwrap();
        Self { version, key: std::fs::read(key).unwrap(), groups }
    }

    fn ask(&self, files: &BTreeMap<String, String>) -> Said {
        let folder = TempDir::with_prefix("plumbline-sshd-").unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let key = folder.path().join("ssh_host_ed25519_key");
        std::fs::write(&key, &self.key).unwrap();
        run(Command::new("chmod").arg("0600").arg(&key)).ok();
        let mut script = String::from(
            "mount --bind \"$1\" /etc/ssh && mount -t tmpfs tmpfs /run && mkdir /run/sshd && cd / || exit 8\n",
        );
        if asked_without(files) {
            script.push_str("echo ---; /usr/sbin/sshd -T -f /etc/ssh/sshd_config || exit 9\n");
        }
        for (user, host, address, laddr, lport) in CONNECTIONS {
            script.push_str(&format!(
                "echo ---; /usr/sbin/sshd -T -f /etc/ssh/sshd_config -C user={user},host={host},addr={address},laddr={laddr},lport={lport} || exit 9\n"
            ));
        }
        let ran = run(Command::new("unshare").args(["--mount", "sh", "-c", &script, "sh"]).arg(folder.path()));
        if ran.code != 0 {
            // What it complains of need not say the file.
            assert!(ran.code == 9 && !ran.stderr.is_empty(), "not a refusal: {ran}");
            return Err(ran.stderr);
        }
        let mut said = Vec::new();
        for part in ran.stdout.split("---\n").skip(1) {
            let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for line in part.lines() {
                let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
                // Of a relative path, begun at `/`.
                let value = value.strip_prefix('/').filter(|rest| rest.starts_with('/')).unwrap_or(value);
                settings.entry(keyword.to_owned()).or_default().push(value.to_owned());
            }
            assert!(settings.len() > 50, "{part}");
            said.push(settings);
        }
        assert_eq!(said.len(), usize::from(asked_without(files)) + CONNECTIONS.len());
        Ok(said)
    }

    fn connections(&self, files: &BTreeMap<String, String>) -> Vec<Option<Connection>> {
        let named = CONNECTIONS.iter().map(|(user, host, address, laddr, lport)| {
            Some(Connection {
                user: Some((*user).to_owned()),
                groups: self.groups.get(user).cloned(),
                host: Some((*host).to_owned()),
                address: Some(address.parse().unwrap()),
                local_address: Some(laddr.parse().unwrap()),
                local_port: Some(*lport),
            })
        });
        asked_without(files).then_some(None).into_iter().chain(named).collect()
    }

    /// Compares; answers how many settings agreed and how many were left open.
    fn agree(&self, name: &str, files: &BTreeMap<String, String>, facts: &SshdFacts, said: &Said) -> (usize, usize) {
        let (mut agreed, mut open) = (0, 0);
        for (connection, theirs) in self.connections(files).iter().zip(said.as_ref().unwrap()) {
            let ours = effective(facts, Some(self.version), connection.as_ref());
            for (keyword, lines) in theirs {
                match ours.get(keyword) {
                    Some(Value::Set(values)) | Some(Value::Default(values)) if keyword != "listenaddress" => {
                        // sshd prints the older name of each.
                        let ours = match values.join(" ").as_str() {
                            "prohibit-password" => "without-password".to_owned(),
                            "QUIET" => "SILENT".to_owned(),
                            "DEBUG1" => "DEBUG".to_owned(),
                            other => other.to_owned(),
                        };
                        let theirs = lines.join(" ");
                        assert_eq!(
                            ours, theirs,
                            "ours is left, sshd's right: {keyword}, {name}, {connection:?}\n{files:#?}"
                        );
                        agreed += 1;
                    }
                    Some(_) | None => {
                        assert!(LEFT_OPEN.contains(&keyword.as_str()), "{keyword} has no answer, {name}\n{files:#?}");
                        open += 1;
                    }
                }
            }
            // What we say is set, it must say too.
            for (keyword, value) in &ours {
                let empty = matches!(value, Value::Default(values) if values.is_empty());
                assert!(
                    empty || theirs.contains_key(keyword) || keyword == "rdomain",
                    "{keyword} is ours alone, {name}\n{files:#?}"
                );
            }
        }
        (agreed, open)
    }
}

/// Whether `sshd -T` without a connection tells what is global: it applies `Match all`, and ends at `Match LocalPort`.
fn asked_without(files: &BTreeMap<String, String>) -> bool {
    !files.values().any(|text| ["match all", "localport"].iter().any(|word| text.to_lowercase().contains(word)))
}

fn facts(files: &BTreeMap<String, String>) -> SshdFacts {
    let host =
        files.iter().fold(Recorded::new(), |host, (path, text)| host.file(&format!("/etc/ssh/{path}"), text.as_str()));
    Sshd::collect(&host)
}

#[test]
fn generated_configurations_come_to_what_sshd_says() {
    let oracle = Oracle::new();
    let (mut configurations, mut agreed, mut open, mut blocks) = (0, 0, 0, 0);
    for seed in 0..rounds(150) {
        let files = Generator::new(seed as u64).files();
        let said = oracle.ask(&files);
        assert!(said.is_ok(), "seed {seed}: {said:?}\n{files:#?}");
        let facts = facts(&files);
        assert!(facts.items.gaps.is_empty(), "seed {seed}: {:?}\n{files:#?}", facts.items.gaps);
        let (more, left) = oracle.agree(&format!("seed {seed}"), &files, &facts, &said);
        configurations += 1;
        agreed += more;
        open += left;
        blocks += facts.items.seen.keys().filter(|subject| subject.starts_with("match:")).count();
    }
    assert!(blocks > configurations, "the generator writes too few Match blocks: {blocks}");
    println!(
        "{agreed} of {agreed} settings agreed over {configurations} configurations with {blocks} Match blocks, \
         each without a connection and for {}; {open} defaults of the maker were left open",
        CONNECTIONS.len()
    );
}

/// One character of a configuration lost, doubled or replaced: what sshd still accepts must be understood as it does, and
/// what the probe refuses sshd must refuse too.
#[test]
fn damaged_configurations_are_understood_where_sshd_accepts_them() {
    let oracle = Oracle::new();
    let (mut sound, mut refused, mut noticed) = (0, 0, 0);
    for seed in 0..rounds(150) {
        let mut generator = Generator::new(1_000_000 + seed as u64);
        let mut files = generator.files();
        let text = generator.damage(&files["sshd_config"]);
        files.insert("sshd_config".into(), text);
        let said = oracle.ask(&files);
        let facts = facts(&files);
        let gap = facts.items.gaps.get("");
        if said.is_ok() {
            assert!(gap.is_none(), "refused by the probe alone, seed {seed}: {gap:?}\n{files:#?}");
            oracle.agree(&format!("damaged seed {seed}"), &files, &facts, &said);
            sound += 1;
        } else {
            refused += 1;
            noticed += usize::from(gap.is_some());
        }
    }
    assert!(sound > 20 && refused > 20, "{sound} sound, {refused} refused");
    println!(
        "{sound} of {sound} damaged but accepted configurations agreed; of {refused} refused the probe refused {noticed}"
    );
}

#[test]
fn debians_own_configuration_comes_to_what_sshd_says() {
    let oracle = Oracle::new();
    let text = std::fs::read_to_string("/usr/share/openssh/sshd_config").unwrap();
    let methods = "AuthenticationMethods publickey,password keyboard-interactive\nAuthenticationMethods none\n";
    let mut agreed = 0;
    for text in [text.clone(), String::new(), methods.to_owned()] {
        let files = BTreeMap::from([("sshd_config".to_owned(), text)]);
        agreed += oracle.agree("Debian's", &files, &facts(&files), &oracle.ask(&files)).0;
    }
    assert!(agreed > 900);
    println!("{agreed} of {agreed} settings agreed in Debian's own configuration, an empty one, and one with methods");
}
