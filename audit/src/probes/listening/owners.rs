//! Who holds a socket: the unit, session or container its control group belongs to (systemd.slice(5)), else the programs
//! that have it open.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::host::{Host, Question};

use super::sockets::Socket;

/// What is known of owners, asked for as it is needed.
pub(super) struct Owners<'h> {
    host: &'h dyn Host,
    groups: BTreeMap<String, String>,
    programs: OnceCell<BTreeMap<String, Vec<String>>>,
}

impl<'h> Owners<'h> {
    pub(super) fn of(host: &'h dyn Host) -> Self {
        // A host without control groups names its programs; what cannot be read names nobody, which each socket says.
        let groups = host.ask(Question::ControlGroups).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { host, groups: groups.unwrap_or_default(), programs: OnceCell::new() }
    }

    /// The owners of a socket, never none.
    pub(super) fn name(&self, socket: &Socket) -> Vec<String> {
        let group = socket.group.and_then(|group| self.groups.get(&group.to_string()));
        if let Some(owner) = group.and_then(|path| owner(path)) {
            return vec![owner];
        }
        if socket.inode == 0 {
            return vec!["kernel".to_owned()];
        }
        let programs = self.programs.get_or_init(|| {
            let answer = self.host.ask(Question::SocketOwners).ok();
            answer.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
        });
        programs.get(&socket.inode.to_string()).cloned().unwrap_or_else(|| vec!["unknown".to_owned()])
    }
}

/// Whose control group `path` is; `None` for one that says nothing, the root above all.
fn owner(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let container = |part: &&str| {
        let runtimes =
            ["docker-", "libpod-", "crio-", "cri-containerd-", "lxc.payload.", "machine-", "systemd-nspawn@"];
        runtimes.iter().any(|start| part.starts_with(start))
    };
    let tops = ["machine.slice", "docker", "kubepods", "kubepods.slice", "lxc"];
    match parts.as_slice() {
        [] => None,
        [top, ..] if tops.contains(top) => Some("container".to_owned()),
        parts if parts.iter().any(container) => Some("container".to_owned()),
        ["user.slice", user, ..] => {
            let number = user.strip_prefix("user-").and_then(|rest| rest.strip_suffix(".slice"))?;
            Some(format!("user {number}"))
        }
        parts => {
            let is_unit = |part: &&&str| {
                [".service", ".socket", ".scope", ".mount", ".swap"].iter().any(|end| part.ends_with(end))
            };
            parts.iter().find(is_unit).map(|unit| (*unit).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn control_groups_name_units_sessions_and_containers() {
        for (path, said) in [
            ("/system.slice/ssh.service", Some("ssh.service")),
            ("/system.slice/system-postgresql.slice/postgresql@15-main.service", Some("postgresql@15-main.service")),
            ("/system.slice/foo.service/inner", Some("foo.service")),
            ("/init.scope", Some("init.scope")),
            ("/user.slice/user-1000.slice/session-3.scope", Some("user 1000")),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", Some("user 1000")),
            ("/system.slice/docker-0123abcd.scope", Some("container")),
            ("/machine.slice/libpod-1.scope/container", Some("container")),
            ("/kubepods/besteffort/pod1/2", Some("container")),
            ("/", None),
            ("/odd", None),
        ] {
            assert_eq!(owner(path).as_deref(), said, "{path}");
        }
    }
}
