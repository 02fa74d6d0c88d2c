//! Configurations of sshd, generated: the same from the same seed.

use std::collections::BTreeMap;

/// Writes configurations.
pub struct Generator(u64);

/// Settings that may stand anywhere, with values that sshd accepts.
const ANYWHERE: &[(&str, &[&str])] = &[
    ("PermitRootLogin", &["yes", "NO", "prohibit-password", "without-password", "forced-commands-only"]),
    ("PasswordAuthentication", &["yes", "no"]),
    ("KbdInteractiveAuthentication", &["yes", "no"]),
    ("PubkeyAuthentication", &["yes", "no"]),
    ("PermitEmptyPasswords", &["yes", "no"]),
    ("HostbasedAuthentication", &["yes", "no"]),
    ("X11Forwarding", &["yes", "no"]),
    ("X11UseLocalhost", &["yes", "no"]),
    ("X11DisplayOffset", &["10", "20"]),
    ("AllowTcpForwarding", &["yes", "no", "all", "local", "remote"]),
    ("AllowStreamLocalForwarding", &["yes", "no", "local"]),
    ("AllowAgentForwarding", &["yes", "no"]),
    ("DisableForwarding", &["yes", "no"]),
    ("GatewayPorts", &["yes", "no", "clientspecified"]),
    ("PermitTunnel", &["yes", "no", "ethernet", "point-to-point"]),
    ("PermitTTY", &["yes", "no"]),
    ("PermitUserRC", &["yes", "no"]),
    ("MaxAuthTries", &["1", "3", "6"]),
    ("MaxSessions", &["0", "1", "10"]),
    ("ClientAliveInterval", &["0", "300", "5m", "1h30m"]),
    ("ClientAliveCountMax", &["0", "3"]),
    ("LogLevel", &["INFO", "verbose", "DEBUG3", "QUIET"]),
    ("Banner", &["none", "/etc/issue.net", "\"/etc/a banner\""]),
    ("ForceCommand", &["internal-sftp -l INFO", "none", "\"/bin/with quote\" a"]),
    ("ChrootDirectory", &["none", "/srv/%u", "%h"]),
    ("AllowUsers", &["ava otto", "ava@10.0.0.0/8", "\"two words\"", "'single quoted' b"]),
    ("DenyUsers", &["guest", "a*?"]),
    ("AllowGroups", &["staff", "staff wheel"]),
    ("DenyGroups", &["interns"]),
    ("AcceptEnv", &["LANG LC_*", "TZ"]),
    ("SetEnv", &["A=1 B=2", "C=3"]),
    ("AuthorizedKeysFile", &["/etc/keys/%u", ".ssh/keys .ssh/more", "none"]),
    ("AuthorizedPrincipalsFile", &["/etc/principals/%u", "none"]),
    ("PermitOpen", &["any", "none", "host:80 [::1]:22"]),
    ("PermitListen", &["any", "none", "8080 localhost:9"]),
    ("RekeyLimit", &["1G", "default", "512M 1h", "100K none"]),
    ("StreamLocalBindMask", &["0177", "077", "0"]),
    ("StreamLocalBindUnlink", &["yes", "no"]),
    ("TrustedUserCAKeys", &["/etc/ssh/ca.pub", "none"]),
    ("RevokedKeys", &["/etc/ssh/revoked", "none"]),
    ("ExposeAuthInfo", &["yes", "no"]),
    ("IPQoS", &["af21 cs1", "lowdelay"]),
    ("IgnoreRhosts", &["yes", "no", "shosts-only"]),
    ("PubkeyAcceptedAlgorithms", &["ssh-ed25519", "-ssh-rsa*", "+ssh-rsa", "^rsa-sha2-512"]),
    ("PubkeyAcceptedKeyTypes", &["rsa-sha2-512,rsa-sha2-256"]),
    ("HostbasedAcceptedAlgorithms", &["ssh-ed25519", "-ecdsa*"]),
];

/// Settings that may only stand outside of Match blocks.
const GLOBAL: &[(&str, &[&str])] = &[
    ("UsePAM", &["yes", "no"]),
    ("LoginGraceTime", &["0", "30", "1m", "2M30s"]),
    ("StrictModes", &["yes", "no"]),
    ("PrintMotd", &["yes", "no"]),
    ("PrintLastLog", &["yes", "no"]),
    ("TCPKeepAlive", &["yes", "no"]),
    ("KeepAlive", &["yes", "no"]),
    ("UseDNS", &["yes", "no"]),
    ("Compression", &["yes", "delayed", "no"]),
    ("PermitUserEnvironment", &["yes", "no", "LANG,LC_*"]),
    ("IgnoreUserKnownHosts", &["yes", "no"]),
    ("ChallengeResponseAuthentication", &["yes", "no"]),
    ("SyslogFacility", &["AUTH", "authpriv", "LOCAL3"]),
    ("AddressFamily", &["any", "inet", "inet6"]),
    ("Port", &["22", "2222"]),
    ("MaxStartups", &["10:30:60", "5", "1:1:1"]),
    ("Ciphers", &["aes256-gcm@openssh.com,aes256-ctr", "+aes128-cbc", "-aes128-*", "^aes256-ctr"]),
    ("MACs", &["hmac-sha2-512", "-*sha1*,umac-64*", "+hmac-md5"]),
    ("HostKeyAlgorithms", &["ssh-ed25519", "-ecdsa*"]),
    ("FingerprintHash", &["sha256", "MD5"]),
    ("VersionAddendum", &["none", "kept by operations"]),
    ("Protocol", &["2"]),
    ("HostKey", &["/etc/ssh/ssh_host_ed25519_key"]),
    ("Subsystem", &["sftp /usr/lib/openssh/sftp-server -f AUTH"]),
    ("KexAlgorithms", &["curve25519-sha256"]),
];

const CRITERIA: &[&str] = &[
    "User root",
    "User !root,*",
    "user d*,b?n",
    "Group root",
    "Group daemon,mail",
    "Group !bin,*",
    "Host *.example.org",
    "Host !web.*,*.EXAMPLE.org",
    "Address 10.0.0.0/8",
    "Address !10.1.0.0/16,10.0.0.0/8",
    "Address 2001:db8::/32",
    "Address 198.51.*",
    "LocalAddress 192.0.2.1",
    "LocalPort 22",
    "LocalPort 2222",
    "\"User\" \"root\"",
    "User=daemon",
];

impl Generator {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// The files below `/etc/ssh`.
    pub fn files(&mut self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        let mut subsystem = false;
        for name in
            ["sshd_config.d/20-b.conf", "sshd_config.d/10-a.conf", "sshd_config.d/.off.conf", "sshd_config.d/x.bak"]
        {
            let text = self.text(4, 1, &mut subsystem, &[]);
            files.insert(name.to_owned(), text);
        }
        // Only what may stand in a Match block, as it is also included from one.
        let mut inner = String::new();
        for _ in 0..4 {
            inner.push_str(&self.line(false, &mut true));
        }
        inner.push_str(&self.matching());
        inner.push_str(&self.line(false, &mut true));
        files.insert("inner.conf".to_owned(), inner);
        let includes =
            ["Include sshd_config.d/*.conf\n", "Include inner.conf\n", "include \"/etc/ssh/inner.conf\" none/*\n"];
        let text = self.text(14, 4, &mut subsystem, &includes);
        files.insert("sshd_config".to_owned(), text);
        files
    }

    fn text(&mut self, lines: usize, blocks: usize, subsystem: &mut bool, includes: &[&str]) -> String {
        let mut text = String::new();
        let mut globs = 0;
        for _ in 0..self.below(lines) + 1 {
            if !includes.is_empty() && self.below(8) == 0 {
                // The folder only once: a subsystem may be there, and may not be defined twice.
                let include = self.one(if globs == 0 { includes } else { &includes[1..] });
                globs += usize::from(include.contains("sshd_config.d"));
                text.push_str(include);
            }
            text.push_str(&self.line(true, subsystem));
        }
        for _ in 0..self.below(blocks + 1) {
            text.push_str(&self.matching());
            for _ in 0..self.below(5) + 1 {
                if !includes.is_empty() && self.below(6) == 0 {
                    text.push_str(includes[1 + self.below(2)]);
                }
                text.push_str(&self.line(false, &mut true));
            }
        }
        text
    }

    fn matching(&mut self) -> String {
        match self.below(10) {
            0 => "Match all\n".to_owned(),
            1..4 => format!("Match {} {}\n", self.one(CRITERIA), self.one(CRITERIA)),
            _ => format!("  MATCH\t{}\n", self.one(CRITERIA)),
        }
    }

    fn line(&mut self, global: bool, subsystem: &mut bool) -> String {
        let table = if global && self.below(3) == 0 { GLOBAL } else { ANYWHERE };
        let (keyword, values) = self.one(table);
        let value = self.one(values);
        if *keyword == "Subsystem" && std::mem::replace(subsystem, true) {
            return "# no second one\n\n".to_owned();
        }
        let keyword = match self.below(4) {
            0 => keyword.to_lowercase(),
            1 => keyword.to_uppercase(),
            _ => (*keyword).to_owned(),
        };
        let raw = ["forcecommand", "versionaddendum"].contains(&keyword.to_lowercase().as_str());
        match self.below(6) {
            0 => format!("{keyword}={value}\n"),
            1 => format!("\t{keyword} = {value}  \n"),
            2 if !raw => format!("{keyword} {value} # why\n"),
            _ => format!("{keyword} {value}\n"),
        }
    }

    /// `text` with one character lost, doubled or replaced.
    pub fn damage(&mut self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        let at = self.below(chars.len());
        match self.below(3) {
            0 => drop(chars.remove(at)),
            1 => chars.insert(at, chars[at]),
            _ => chars[at] = *self.one(&['"', '#', ' ', '=', '\'', '\\', '!', ',', '\n', '0']),
        }
        chars.into_iter().collect()
    }
}
