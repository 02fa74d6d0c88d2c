//! Where a baseline's `extends` is found: by name among those that ship, or in a file beside it.
//!
//! Decides which names may be asked for at all. The folder is the shell's: it reads beneath that of the first file and nowhere else.
//! A baseline that came from elsewhere must not make an agent, which runs as root, read what it likes and quote it in
//! a complaint.

use std::borrow::Cow;

use crate::shipped;

/// The text of a baseline that another extends.
pub trait Library {
    /// The file at `path` beneath the folder of the first baseline: plain names joined by `/`, checked. The error is a reason.
    fn beside(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// Only what ships: no files.
pub struct Shipped;

impl Library for Shipped {
    fn beside(&self, _path: &str) -> Result<Vec<u8>, String> {
        Err("a file beside this one cannot be read here; only baselines that ship can be extended".into())
    }
}

/// What `extends` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A shipped baseline.
    Shipped(&'static str, &'static str),
    /// A file, relative to the folder of the first baseline, normalised.
    File(String),
}

impl Target {
    /// `name` as written in the file at `from` (which is relative to the first baseline's folder; empty folder for itself).
    pub(super) fn of(name: &str, from: &Self) -> Result<Self, (String, Option<String>)> {
        let is_file = name.ends_with(".yaml") || name.ends_with(".yml");
        if !is_file {
            if let Some((own, text)) = shipped::BASELINES.iter().find(|(own, _)| *own == name) {
                return Ok(Self::Shipped(own, text));
            }
            let names: Vec<&str> = shipped::BASELINES.iter().map(|(name, _)| *name).collect();
            let message = format!("`{name}` is neither a baseline that ships nor a file that ends in .yaml");
            return Err((message, crate::yaml::did_you_mean(name, &names)));
        }
        let Self::File(from) = from else {
            return Err(("a baseline that ships extends only those that ship".into(), None));
        };
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\0', '\\']);
        let name = name.strip_prefix("./").unwrap_or(name);
        if !name.split('/').all(plain) {
            let hint = "a file is named relative to this one, in its folder or one below";
            return Err((format!("`{name}` leads out of the baseline's own folder"), Some(hint.into())));
        }
        let folder = from.rsplit_once('/').map(|(folder, _)| folder);
        Ok(Self::File(folder.map_or(name.to_owned(), |folder| format!("{folder}/{name}"))))
    }

    /// What it holds.
    pub(super) fn read(&self, library: &dyn Library) -> Result<Cow<'static, [u8]>, String> {
        match self {
            Self::Shipped(_, text) => Ok(Cow::Borrowed(text.as_bytes())),
            Self::File(path) => library.beside(path).map(Cow::Owned),
        }
    }

    /// Its name in complaints and digests.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Shipped(name, _) => name,
            Self::File(path) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        let at = |from: &str, name: &str| Target::of(name, &Target::File(from.into()));
        assert_eq!(at("b.yaml", "roles/web.yaml").unwrap().name(), "roles/web.yaml");
        assert_eq!(at("roles/web.yaml", "./tls.yaml").unwrap().name(), "roles/tls.yaml");
        assert_eq!(at("b.yaml", "linux-server").unwrap().name(), "linux-server");
        for bad in ["/etc/shadow.yaml", "../b.yaml", "a/../../b.yaml", "a//b.yaml", "a/./b.yaml", "..\\b.yaml"] {
            assert!(at("b.yaml", bad).unwrap_err().0.contains("leads out"), "{bad}");
        }
        assert_eq!(at("b.yaml", "linux-sever").unwrap_err().1.unwrap(), "did you mean `linux-server`?");
        let shipped = at("b.yaml", "linux-server").unwrap();
        assert!(Target::of("b.yaml", &shipped).is_err());
    }
}
