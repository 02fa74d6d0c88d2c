//! What a rule can ask of administrators.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What a rule can ask. At least one key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Administrators, and no others: users by name; groups, netgroups, ids and `ALL` as sudoers writes them.
    #[serde(default)]
    pub only: Option<BTreeSet<String>>,
    /// The accounts that may have user id 0.
    #[serde(default)]
    pub uid0: Option<BTreeSet<String>>,
    /// Who may use sudo without a password.
    #[serde(default)]
    pub nopasswd: Option<NoPassword>,
    /// Whose sudo rules may amount to root, written as in `only`.
    #[serde(default)]
    pub amounts_to_root: Option<BTreeSet<String>>,
    /// Who may be an administrator by polkit's rules, written as in `only`.
    #[serde(default)]
    pub polkit: Option<BTreeSet<String>>,
    /// The members each of these groups may have.
    #[serde(default)]
    pub group_members: Option<BTreeMap<String, BTreeSet<String>>>,
    /// The keys that may log in as each administrator, by fingerprint.
    #[serde(default)]
    pub keys: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Owner and mode of the files these keys stand in.
    #[serde(default)]
    pub key_files: Option<Safe>,
    /// Owner and mode of sudo's files.
    #[serde(default)]
    pub sudoers_files: Option<Safe>,
}

/// Who may use sudo without a password: nobody, written `forbidden`, or those listed.
#[derive(Debug, Clone, Default)]
pub struct NoPassword(pub BTreeSet<String>);

/// Root's, and writable by nobody else.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Safe {
    /// `safe`.
    Safe,
}

impl<'de> Deserialize<'de> for NoPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl<'de> Visitor<'de> for Wanted {
            type Value = NoPassword;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`forbidden`, or a list of those who may")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<NoPassword, E> {
                match text {
                    "forbidden" => Ok(NoPassword::default()),
                    other => Err(E::unknown_variant(other, &["forbidden"])),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NoPassword, A::Error> {
                let mut allowed = BTreeSet::new();
                while let Some(who) = list.next_element()? {
                    allowed.insert(who);
                }
                Ok(NoPassword(allowed))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

/// What serde cannot see to be wrong.
pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let Expect { only, uid0, nopasswd, amounts_to_root, polkit, group_members, keys, key_files, sudoers_files } =
        expect;
    let nothing = only.is_none()
        && uid0.is_none()
        && nopasswd.is_none()
        && group_members.is_none()
        && amounts_to_root.is_none()
        && polkit.is_none();
    if nothing && keys.is_none() && key_files.is_none() && sudoers_files.is_none() {
        let keys = "`only`, `uid0`, `nopasswd`, `amounts_to_root`, `polkit`, `group_members`, `keys`, `key_files` or `sudoers_files`";
        return Err((String::new(), format!("it expects nothing: give it {keys}")));
    }
    for (user, fingerprints) in keys.iter().flatten() {
        if let Some(other) = fingerprints.iter().find(|fingerprint| !fingerprint.starts_with("SHA256:")) {
            return Err((
                format!("keys.{user}"),
                format!("`{other}` is no fingerprint as `ssh-keygen -l` prints it: SHA256:…"),
            ));
        }
    }
    let groups = group_members.iter().flatten();
    let amounts = ("amounts_to_root", amounts_to_root.as_ref());
    let lists =
        [("only", only.as_ref()), amounts, ("uid0", uid0.as_ref()), ("nopasswd", nopasswd.as_ref().map(|n| &n.0))];
    let named = lists.into_iter().filter_map(|(key, list)| Some((key.to_owned(), list?)));
    for (key, list) in named.chain(groups.map(|(group, list)| (format!("group_members.{group}"), list))) {
        let users_only = !["only", "nopasswd", "amounts_to_root", "polkit"].contains(&key.as_str());
        for who in list {
            if who.trim().is_empty() {
                return Err((key, "a name is empty".into()));
            }
            if users_only && who.starts_with(['%', '+', '#', '!']) {
                return Err((key, format!("`{who}` is no user's name")));
            }
            if who.starts_with('!') {
                return Err((key, format!("`{who}`: a list says who may, and cannot except anybody")));
            }
        }
    }
    Ok(())
}
