//! The data that ships with both binaries, as text: baselines and end-of-life dates. Data, not code: the files under
//! `baselines/` are the source, and a newer file given at run time replaces each.

/// The baseline of a server; applies where no other was assigned.
pub const LINUX_SERVER: &str = include_str!("../../baselines/linux-server.yaml");
/// The baseline of a workstation.
pub const WORKSTATION: &str = include_str!("../../baselines/workstation.yaml");
/// The baseline of a server that answers HTTP.
pub const WEB_SERVER: &str = include_str!("../../baselines/web-server.yaml");
/// The baseline of a server that keeps data.
pub const DATABASE_SERVER: &str = include_str!("../../baselines/database-server.yaml");
/// Policy J, as far as a host can show it.
pub const POLICY_J: &str = include_str!("../../baselines/policy-j.yaml");
/// Policy L, as far as a host can show it.
pub const POLICY_L: &str = include_str!("../../baselines/policy-l.yaml");
/// When software reaches its end of life.
pub const END_OF_LIFE: &str = include_str!("../../baselines/end-of-life.yaml");

/// The baselines that ship, by name: what `extends` and `--baseline` know.
pub const BASELINES: [(&str, &str); 6] = [
    ("linux-server", LINUX_SERVER),
    ("web-server", WEB_SERVER),
    ("database-server", DATABASE_SERVER),
    ("workstation", WORKSTATION),
    ("policy-j", POLICY_J),
    ("policy-l", POLICY_L),
];

/// The shipped baseline called `name`.
pub fn baseline(name: &str) -> Option<&'static str> {
    BASELINES.iter().find(|(own, _)| *own == name).map(|(_, text)| *text)
}
