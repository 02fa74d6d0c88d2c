//! What surveys of the whole disk found, taken over from cycle to cycle: they cost a look at every file.

use std::collections::BTreeMap;
use std::path::Path;

use audit::host::{Gap, Host as _, Question};
use audit::probes::files::packaged::DATABASES;

use crate::live::{Last, Live, Look, Verified};

/// How long what was found is taken over, in seconds.
const AGE: i64 = 3600;

/// What was found when last looked for, by question.
#[derive(Default)]
pub(super) struct Surveys {
    found: BTreeMap<Question, Found>,
    verified: Verified,
}

struct Found {
    at: i64,
    databases: Vec<Look>,
    answer: Result<Vec<u8>, Gap>,
}

impl Surveys {
    /// The answer of at most [`AGE`] before `now`; of packages' files, of the same package database.
    pub(super) fn answer(&mut self, live: &Live, now: i64, question: Question) -> Result<Vec<u8>, Gap> {
        let of_packages = question == Question::ChangedPackageFiles;
        let databases = || DATABASES.iter().map(|path| live.look(Path::new(path), Last::Followed)).collect();
        let databases: Vec<Look> = if of_packages { databases() } else { Vec::new() };
        let is_fresh =
            |known: &&Found| (0..AGE).contains(&now.saturating_sub(known.at)) && known.databases == databases;
        if let Some(known) = self.found.get(&question).filter(is_fresh) {
            return known.answer.clone();
        }
        let answer = if of_packages { live.changed_package_files(&mut self.verified, now) } else { live.ask(question) };
        self.found.insert(question, Found { at: now, databases, answer: answer.clone() });
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const SUM: &str = "9dd4e461268c8034f5c8564e155c67a6"; // of "x"

    /// A root with one package of one file that is as it was brought.
    fn root() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let info = folder.path().join("var/lib/dpkg/info");
        std::fs::create_dir_all(&info).unwrap();
        std::fs::create_dir_all(folder.path().join("usr")).unwrap();
        std::fs::write(folder.path().join("var/lib/dpkg/status"), "Package: tool\nStatus: install ok installed\n")
            .unwrap();
        std::fs::write(info.join("tool.md5sums"), format!("{SUM}  usr/tool\n")).unwrap();
        std::fs::write(info.join("tool.list"), "/usr/tool\n").unwrap();
        std::fs::write(folder.path().join("usr/tool"), "x").unwrap();
        folder
    }

    fn told(surveys: &mut Surveys, live: &Live, now: i64, question: Question) -> String {
        String::from_utf8(surveys.answer(live, now, question).unwrap()).unwrap()
    }

    #[test]
    fn what_was_found_is_taken_over_for_an_hour_and_not_when_packages_changed() {
        let folder = root();
        let live = Live::open(Some(folder.path())).unwrap();
        let mut surveys = Surveys::default();
        let later = chrono::Utc::now().timestamp() + 100;
        for question in [Question::UnusualFiles, Question::ChangedPackageFiles] {
            assert!(!told(&mut surveys, &live, later, question).contains("tool"));
        }
        std::fs::write(folder.path().join("usr/tool"), "y").unwrap();
        std::fs::set_permissions(folder.path().join("usr/tool"), std::fs::Permissions::from_mode(0o4755)).unwrap();
        for question in [Question::UnusualFiles, Question::ChangedPackageFiles] {
            assert!(!told(&mut surveys, &live, later + AGE - 1, question).contains("tool"), "within the hour");
        }
        assert!(told(&mut surveys, &live, later + AGE, Question::UnusualFiles).contains("tool"));
        std::fs::write(folder.path().join("var/lib/dpkg/status"), "Package: tool\nStatus: install ok unpacked\n")
            .unwrap();
        assert!(told(&mut surveys, &live, later, Question::ChangedPackageFiles).contains("tool"), "another database");
    }

    #[test]
    fn a_file_is_summed_again_only_when_it_looks_changed() {
        let folder = root();
        let live = Live::open(Some(folder.path())).unwrap();
        let summed = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = summed.clone();
        let live = live.telling(crate::live::progress::Told::by(move |_| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }));
        let mut verified = Verified::default();
        let later = chrono::Utc::now().timestamp() + 100;
        let mut times = |now: i64| {
            let answer = live.changed_package_files(&mut verified, now).unwrap();
            (summed.swap(0, std::sync::atomic::Ordering::Relaxed), answer.windows(4).any(|window| window == b"tool"))
        };
        assert_eq!(times(later), (1, false));
        assert_eq!(times(later), (0, false), "known");
        std::fs::write(folder.path().join("usr/tool"), "y").unwrap();
        assert_eq!(times(later), (1, true), "the same size, another time stamp");
        assert_eq!(times(later), (1, true), "what differs is never taken over");
        std::fs::write(folder.path().join("usr/tool"), "x").unwrap();
        assert_eq!(times(0), (1, false), "changed just now");
        assert_eq!(times(later), (1, false), "and so it was not remembered");
        assert_eq!(times(later), (0, false));
    }
}
