//! Groups whose members are root, or can make themselves root, or can read what only root should.
//!
//! Each with its reason and where that is written. Not here, because membership alone makes nobody root: `kvm` (starts
//! machines, but as oneself), `incus` (confined to a project of one's own), `netdev` and `plugdev` (network and media, where
//! polkit allows), `video`, `render`, `input`, `audio`, `dialout`, `wireshark` (devices), `systemd-journal` (logs).

/// What a group makes of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Makes {
    /// Root, by their own password: sudo's or polkit's configuration on the common distributions says so.
    Administrators,
    /// Root, without anybody's password.
    Root,
    /// Nobody root, but it reads or changes what leads there; system accounts are in it on some distributions.
    Watched,
}

/// One group.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) makes: Makes,
    /// What its members can do.
    pub(super) why: &'static str,
}

const fn known(name: &'static str, makes: Makes, why: &'static str) -> Known {
    Known { name, makes, why }
}

/// The table, each row after its source.
pub(super) const GROUPS: [Known; 15] = [
    // Debian's and Ubuntu's sudoers.
    known("sudo", Makes::Administrators, "may run anything by sudo, and administers in polkit"),
    // Red Hat's, SUSE's and Arch's sudoers and polkit rules.
    known("wheel", Makes::Administrators, "may run anything by sudo, and administers in polkit"),
    // Ubuntu's sudoers, before 12.04 and since.
    known("admin", Makes::Administrators, "may run anything by sudo, and administers in polkit"),
    // Docker Engine, Linux post-installation steps.
    known("docker", Makes::Root, "starts containers that mount the host's disks"),
    // LXD, About security.
    known("lxd", Makes::Root, "starts privileged containers that mount the host's disks"),
    // Incus, Security.
    known("incus-admin", Makes::Root, "starts privileged containers that mount the host's disks"),
    // MicroK8s, Getting started.
    known("microk8s", Makes::Root, "administers a cluster whose pods mount the host's disks"),
    // libvirt, Polkit access control; Debian's 60-libvirt.rules.
    known("libvirt", Makes::Root, "starts machines that open the host's disks"),
    // Ubuntu's libvirt-bin, before 17.10.
    known("libvirtd", Makes::Root, "starts machines that open the host's disks"),
    // Debian Wiki, SystemGroups.
    known("disk", Makes::Root, "reads and writes the disks past every file's mode"),
    // Debian's base-passwd, users-and-groups.
    known("root", Makes::Watched, "reads and writes what root's own group may"),
    known("adm", Makes::Watched, "reads the logs, and nothing more"),
    // Debian's base-passwd, users-and-groups; shadow(5).
    known("shadow", Makes::Watched, "reads the hashes of all passwords"),
    // Debian's base-passwd, users-and-groups; mem(4).
    known("kmem", Makes::Watched, "reads the kernel's memory"),
    // Debian Policy, 9.1.2.
    known("staff", Makes::Watched, "writes programs below /usr/local, which root's PATH looks into first"),
];

/// Whether members of `group` count as administrators.
pub(super) fn administers(group: &str) -> bool {
    of(group).is_some_and(|known| known.makes != Makes::Watched)
}

/// Whether members of `group` are root without any password.
pub(super) fn is_root(group: &str) -> bool {
    of(group).is_some_and(|known| known.makes == Makes::Root)
}

/// What is known of `group`.
pub(super) fn of(group: &str) -> Option<&'static Known> {
    GROUPS.iter().find(|known| known.name == group)
}
