//! Policies out of a seed: every form of the language, nested and mixed as no person would.

/// Writes policies; the same seed writes the same.
pub struct Generator {
    state: u64,
    /// How many aliases of each kind there are to name.
    aliases: [usize; 4],
}

const KINDS: [&str; 4] = ["U", "H", "R", "C"];

const USERS: &[&str] =
    &["ava", "otto", "rhea", "#1000", "%sudo", "%#27", "%:ad", "+ng", "\"b c\"", "d\\ e", "ALL", "\\%f", "caf\u{e9}"];
const HOSTS: &[&str] = &[
    "ALL",
    "web",
    "db*",
    "10.0.0.0/8",
    "10.0.0.1",
    "fe80::1/64",
    "+hosts",
    "mail.example.org",
    "192.168.0.0/255.255.0.0",
];
const GROUPS: &[&str] = &["adm", "dba", "ALL", "#5"];
const COMMANDS: &[&str] = &[
    "ALL",
    "/bin/a",
    "/bin/b x",
    "/usr/bin/",
    "/bin/c \"\"",
    "/opt/*/d [a-z]* e\\,f",
    "sudoedit /etc/x",
    "/bin/g h=i j\\:k",
    "list",
    "^/bin/[lm]$ ^n o$",
    "/bin/p\\ q",
    "/bin/r 's t'",
    "/bin/u \\\\v",
    "/usr/bin/su*",
    "sha224:d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f /bin/w",
];
const TAGS: &[&str] = &[
    "NOPASSWD:",
    "PASSWD:",
    "NOEXEC:",
    "EXEC:",
    "SETENV:",
    "NOSETENV:",
    "LOG_INPUT:",
    "NOLOG_OUTPUT:",
    "MAIL :",
    "NOFOLLOW:",
    "INTERCEPT:",
];
const DEFAULTS: &[&str] = &[
    "env_reset",
    "!authenticate",
    "passwd_tries=3",
    "env_keep += \"A B\"",
    "env_keep-=C",
    "!lecture",
    "rootpw",
    "timestamp_timeout = 5",
    "badpass_message=\"a, b # c\"",
    "!requiretty",
];

impl Generator {
    /// For one seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, aliases: [0; 4] }
    }

    // Marsaglia's xorshift64: small, and the same everywhere.
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap() % end
    }

    fn one(&mut self, of: &[&str]) -> String {
        of[self.below(of.len())].to_owned()
    }

    fn perhaps(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// An alias of `kind` that is defined.
    fn alias(&mut self, kind: &str) -> Option<String> {
        let known = self.aliases[KINDS.iter().position(|known| *known == kind).unwrap()];
        (known > 0).then(|| format!("{kind}{}", self.below(known)))
    }

    /// One to four of `of` or aliases of `kind`, some negated.
    fn list(&mut self, of: &[&str], kind: &str) -> String {
        let mut members = Vec::new();
        for _ in 0..1 + self.below(4) {
            let alias = if self.perhaps(25) { self.alias(kind) } else { None };
            let member = alias.unwrap_or_else(|| self.one(of));
            let digest = member.starts_with("sha");
            members.push(if self.perhaps(20) && !digest { format!("!{member}") } else { member });
        }
        let comma = self.one(&[",", ", ", " , ", ", \\\n  "]);
        members.join(&comma)
    }

    fn spec(&mut self) -> String {
        let mut spec = String::new();
        if self.perhaps(40) {
            spec.push_str(&match self.below(5) {
                0 => "()".to_owned(),
                1 => format!("(:{})", self.list(GROUPS, "R")),
                2 => format!("({} : {})", self.list(USERS, "R"), self.list(GROUPS, "R")),
                _ => format!("({})", self.list(USERS, "R")),
            });
            spec.push(' ');
        }
        if self.perhaps(15) {
            spec.push_str(&self.one(&[
                "CWD=/tmp ",
                "CHROOT=/srv ",
                "TIMEOUT=5m ",
                "ROLE=r TYPE=t ",
                "NOTAFTER=20300101000000Z ",
                "CWD=* ",
            ]));
        }
        for _ in 0..self.below(3) {
            spec.push_str(&self.one(TAGS));
            spec.push(' ');
        }
        let alias = if self.perhaps(25) { self.alias("C") } else { None };
        let command = alias.unwrap_or_else(|| self.one(COMMANDS));
        if self.perhaps(20) && !command.starts_with("sha") {
            spec.push('!');
        }
        spec + &command
    }

    fn rule(&mut self) -> String {
        let mut rule = self.list(USERS, "U");
        for number in 0..1 + self.below(2) {
            rule.push_str(if number == 0 { " " } else { " : " });
            rule.push_str(&self.list(HOSTS, "H"));
            let specs: Vec<String> = (0..1 + self.below(4)).map(|_| self.spec()).collect();
            rule.push_str(&format!("{}{}", self.one(&["=", " = "]), specs.join(", ")));
        }
        rule
    }

    /// A policy sudo accepts. Aliases only hold aliases of a lower number, so none holds itself.
    pub fn policy(&mut self) -> String {
        let mut lines = Vec::new();
        for (word, kind, of) in [
            ("User_Alias", "U", USERS),
            ("Host_Alias", "H", HOSTS),
            ("Runas_Alias", "R", USERS),
            ("Cmnd_Alias", "C", COMMANDS),
        ] {
            for number in 0..self.below(5) {
                let members = self.list(of, kind);
                lines.push(format!("{word} {kind}{number} = {members}"));
                self.aliases[KINDS.iter().position(|known| *known == kind).unwrap()] += 1;
            }
        }
        for _ in 0..self.below(4) {
            let settings: Vec<String> = (0..1 + self.below(2)).map(|_| self.one(DEFAULTS)).collect();
            let bound = match self.below(4) {
                0 => format!(":{}", self.one(&["ava", "%dba", "ava,otto", "!rhea", "#1000"])),
                1 => format!("@{}", self.one(&["web", "10.0.0.0/8", "web,!db"])),
                2 => format!("!{}", self.one(&["/bin/a", "/bin/a,/bin/b"])),
                _ => String::new(),
            };
            lines.push(format!("Defaults{bound} {}", settings.join(", ")));
        }
        for _ in 0..1 + self.below(6) {
            let rule = self.rule();
            let comment = if self.perhaps(10) { " # said \\" } else { "" };
            lines.push(format!("{rule}{comment}"));
        }
        // Order matters to nobody but the last match: aliases may stand anywhere.
        for place in (1..lines.len()).rev() {
            let other = self.below(place + 1);
            lines.swap(place, other);
        }
        lines.join("\n") + "\n"
    }

    /// `text` with one character lost, doubled or replaced.
    pub fn damage(&mut self, text: &str) -> String {
        let mut signs: Vec<char> = text.chars().collect();
        let place = self.below(signs.len());
        match self.below(3) {
            0 => {
                signs.remove(place);
            }
            1 => signs.insert(place, signs[place]),
            _ => {
                let sign = self.one(&[
                    "\\", "\"", "#", ":", ",", "=", "(", ")", "!", "%", "+", "@", " ", "\n", "^", "$", "A", "a", "0",
                    "/",
                ]);
                signs[place] = sign.chars().next().unwrap();
            }
        }
        signs.into_iter().collect()
    }
}
