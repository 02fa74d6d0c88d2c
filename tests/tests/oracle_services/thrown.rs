//! Trees of units by a sequence of numbers.

use plumbline_tests::dice::Dice;

use super::tree::Tree;

/// Folders of the load path.
const FOLDERS: [&str; 11] = [
    "etc/systemd/system",
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "usr/lib/systemd/system",
    "run/systemd/generator",
    "run/systemd/generator.early",
    "run/systemd/generator.late",
    "etc/systemd/system.attached",
    "etc/systemd/system.control",
];
const NAMES: [&str; 11] = [
    "a.service",
    "b.service",
    "c.socket",
    "d.timer",
    "t@.service",
    "t@one.service",
    "u@.service",
    "u@one.service",
    "u@two.service",
    "m.mount",
    "v.target",
];
const INSTALLS: [&str; 14] = [
    "",
    "",
    "[Install]\nWantedBy=multi-user.target\n",
    "[Install]\nWantedBy=multi-user.target\n",
    "[Install]\nRequiredBy=x.target\nAlias=b.service a.service\n",
    "[Install]\nAlias=b.service\nAlias=u@.service u@two.service t@.service t@one.service\n",
    "[Install]\nAlso=c.socket\n",
    "[Install]\nAlso=a.service\nAlso=\nWantedBy=x.target\nWantedBy=\n",
    "[Install]\nDefaultInstance=one\nWantedBy=multi-user.target\n",
    "[Install]\nDefaultInstance=two\nAlias=\"b.service\"\n",
    "[Install]\nAlias=b.service\nAlias=\nDefaultInstance=\n",
    "[Install]\nWantedBy=multi-user.target \\\n# no\n  x.target\nAlso=%p.socket\n",
    "[Install]\nAlso=no-unit\n",
    "[Install\nWantedBy=multi-user.target\n",
];
/// What may be done to installed units.
pub const VERBS: [&str; 11] = [
    "enable",
    "disable",
    "enable --runtime",
    "mask",
    "mask --runtime",
    "unmask",
    "preset",
    "preset-all",
    "reenable",
    "link",
    "add-wants",
];

pub struct Thrown(Dice);

impl Thrown {
    pub fn new(seed: u64) -> Self {
        Self(Dice::new(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    fn unit(&mut self) -> String {
        format!("[Unit]\nDescription=x\n{}", self.0.pick(&INSTALLS))
    }

    /// Anything anywhere.
    pub fn tree(&mut self) -> Tree {
        let tree = Tree::new();
        self.elsewhere(&tree);
        for _ in 0..16 {
            let (folder, name) = (self.0.pick(&FOLDERS), self.0.pick(&NAMES));
            let (place, linked) = match self.0.roll(9) {
                0..4 => (format!("{folder}/{name}"), self.0.roll(2) == 0),
                4 | 5 => (format!("{folder}/{}.wants/{name}", self.0.pick(&["multi-user.target", "odd"])), true),
                6 => (format!("{folder}/x.target.requires/{name}"), true),
                _ => (format!("{folder}/{name}.d/{}.conf", self.0.pick(&["1", "2"])), self.0.roll(8) == 0),
            };
            if tree.path(&place).symlink_metadata().is_ok() {
                continue;
            }
            if linked {
                tree.link(&place, &self.target(name));
            } else {
                let text = if self.0.roll(14) == 0 { String::new() } else { self.unit() };
                tree.file(&place, &text);
            }
        }
        tree.file("usr/lib/systemd/system/last.service", "[Service]\n");
        tree
    }

    fn target(&mut self, name: &str) -> String {
        let template = |name: &str| name.split_once('@').map(|(stem, _)| format!("{stem}@.service"));
        let other = match self.0.roll(3) {
            0 => template(name).unwrap_or_else(|| "b.service".to_owned()),
            _ => self.0.pick(&NAMES).to_owned(),
        };
        let folder = self.0.pick(&FOLDERS);
        match self.0.roll(12) {
            0 | 1 => "/dev/null".to_owned(),
            2 | 3 => format!("/opt/{name}"),
            4 => format!("/opt/{other}"),
            5 => other,
            6 => format!("/{folder}/{name}"),
            7 => format!("/lib/systemd/system/{other}"),
            8 => format!("../../../usr/lib/systemd/system/{other}"),
            9 => format!("/{folder}/x.target.wants/{other}"),
            _ => format!("/{folder}/{other}"),
        }
    }

    /// Units outside the load path, some empty, some missing.
    fn elsewhere(&mut self, tree: &Tree) {
        for name in NAMES {
            match self.0.roll(5) {
                0 => {}
                1 => {
                    tree.file(&format!("opt/{name}"), "");
                }
                _ => {
                    tree.file(&format!("opt/{name}"), &self.unit());
                }
            }
        }
    }

    /// Units as packages install them, with presets.
    pub fn installed(&mut self) -> Tree {
        let tree = Tree::new();
        for name in NAMES {
            if self.0.roll(5) > 0 {
                tree.file(&format!("usr/lib/systemd/system/{name}"), &self.unit());
            }
            tree.file(&format!("opt/own-{name}"), &self.unit());
        }
        let choice = ["enable", "disable", "disable", "enable"];
        let mut presets = String::new();
        for name in NAMES {
            presets.push_str(&format!("{} {name}\n", self.0.pick(&choice)));
        }
        tree.file("etc/systemd/system-preset/50-own.preset", &presets);
        tree.file("run/systemd/.keep", "");
        tree
    }

    /// Something systemctl may do to them.
    pub fn verb(&mut self) -> String {
        let (verb, name) = (self.0.pick(&VERBS), self.0.pick(&NAMES));
        match verb {
            "preset-all" => verb.to_owned(),
            "link" => format!("{verb} /opt/own-{name}"),
            "add-wants" => format!("{verb} x.target {name}"),
            _ => format!("{verb} {name}"),
        }
    }
}
