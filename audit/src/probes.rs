//! The list of probes: one line each. A topic's file under `probes/` holds everything else about it.

pub mod accounts;
pub mod admins;
pub mod certificates;
pub mod containers;
pub mod eol;
pub mod files;
pub mod firewall;
pub mod kernel;
pub mod listening;
pub mod logging;
pub mod packages;
pub mod patches;
pub mod platform;
pub mod protection;
pub mod scheduled;
pub mod separation;
pub mod services;
pub mod sshd;
pub mod time;
pub mod vpn;

use crate::probe::{Erased, Topic};

/// Every probe, in the order reports show them.
pub static ALL: &[&dyn Topic] = &[
    &Erased::<packages::Packages>::new(),
    &Erased::<patches::Patches>::new(),
    &Erased::<eol::Eol>::new(),
    &Erased::<time::Time>::new(),
    &Erased::<firewall::Firewall>::new(),
    &Erased::<admins::Admins>::new(),
    &Erased::<services::Services>::new(),
    &Erased::<files::Files>::new(),
    &Erased::<kernel::Kernel>::new(),
    &Erased::<containers::Containers>::new(),
    &Erased::<scheduled::Scheduled>::new(),
    &Erased::<sshd::Sshd>::new(),
    &Erased::<certificates::Certificates>::new(),
    &Erased::<logging::Logging>::new(),
    &Erased::<separation::Separation>::new(),
    &Erased::<platform::Platform>::new(),
    &Erased::<accounts::Accounts>::new(),
    &Erased::<protection::Protection>::new(),
    &Erased::<listening::Listening>::new(),
    &Erased::<vpn::Vpn>::new(),
];

/// The probe called `name`.
pub fn find(name: &str) -> Option<&'static dyn Topic> {
    ALL.iter().copied().find(|topic| topic.name() == name)
}

/// All names, in order.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|topic| topic.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::Glob;
    use crate::host::Recorded;

    #[test]
    fn every_probe_declares_reads_that_compile_and_needs_that_exist() {
        assert!(!ALL.is_empty());
        for topic in ALL {
            for read in topic.reads() {
                assert!(read.starts_with('/') && Glob::of_paths(read).is_ok(), "{}: {read}", topic.name());
            }
            for need in topic.needs() {
                assert!(find(need).is_some(), "{} needs {need}", topic.name());
            }
        }
    }

    #[test]
    fn facts_of_an_empty_host_survive_encoding() {
        for topic in ALL {
            let facts = topic.collect(&Recorded::new(), &[]);
            let bytes = topic.encode(&facts).unwrap();
            let again = topic.encode(&topic.decode(&bytes.items, &bytes.state).unwrap()).unwrap();
            assert_eq!(bytes, again, "{}", topic.name());
        }
    }
}
