//! Programs that make root whoever may run them as root, and when.
//!
//! Compiled from their manuals and from sudoers(5), "Preventing shell escapes"; GTFOBins collects the same. A program not here
//! is not thereby harmless. Left out on purpose: those that only *read* any file (`cat`, `tail`, `grep`), and `journalctl` and
//! `systemctl status`, whose pager is confined since systemd 247.

/// When a program makes its caller root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A shell or interpreter: unless its arguments name what it runs.
    Shell,
    /// Starts a shell, or opens any file, on a key: whatever its arguments.
    Interactive,
    /// The same, but all it does is start programs: not where `NOEXEC` forbids it.
    Pager,
    /// Runs the program its arguments name: unless they are fixed.
    Runs,
    /// Writes the files its arguments name: unless they are fixed and lead to nothing that root trusts.
    Writes,
    /// Installs, starts or configures what then runs as root: unless its arguments are fixed.
    Manages,
    /// Changes accounts: unless its arguments are fixed and name neither root nor a group of administrators.
    Accounts,
    /// Takes what it does from its input: whatever its arguments.
    Input,
    /// Becomes another user: root, unless its arguments fix another.
    Becomes,
}

impl Kind {
    /// Why, for a finding.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Shell => "runs any commands",
            Self::Interactive => "starts a shell on a key",
            Self::Pager => "starts a shell on a key",
            Self::Runs => "runs any program it is told to",
            Self::Writes => "writes any file it is told to",
            Self::Manages => "changes what runs as root",
            Self::Accounts => "changes any account, root's too",
            Self::Input => "takes what it does from its input",
            Self::Becomes => "becomes root",
        }
    }
}

/// The table; where a name ends in `*`, digits and dots may follow (`python3.12`).
pub(super) const PROGRAMS: [(Kind, &str); 9] = [
    (
        Kind::Shell,
        "ash bash busybox csh dash fish ksh* mksh rbash sh tcsh zsh* awk bpftrace gawk mawk nawk expect \
         guile* irb* java jshell julia lua* node nodejs perl* php* pypy* python* Rscript ruby* tclsh*",
    ),
    (
        Kind::Interactive,
        "ed emacs ex ftp gdb joe mariadb mc mcedit micro mutt mysql nano nvim pico psql rview rvim screen \
         sqlite3 telnet tmux vi view vigr vim vim.basic vim.tiny vimdiff vipw visudo",
    ),
    (Kind::Pager, "info less man more most pg"),
    (
        Kind::Runs,
        "bwrap capsh chroot chrt doas env find firejail flock git ionice ltrace make nice nmap nohup nsenter \
         parallel pkexec prlimit run-parts script setarch setpriv setsid socat ssh start-stop-daemon stdbuf \
         strace sudo systemd-run taskset tcpdump time timeout unshare watch xargs zip",
    ),
    (
        Kind::Writes,
        "7z chgrp chmod chown cp cpio curl dd install ln mv openssl patch rsync scp sed setcap setfacl sftp \
         sort split tar tee unzip wget",
    ),
    (
        Kind::Manages,
        "ansible-playbook apk apt apt-get aptitude cpan crictl ctr debugfs dmsetup dnf dnf5 docker dpkg \
         flatpak gem incus insmod kexec kubectl logrotate losetup lxc machinectl microdnf modprobe mount \
         nerdctl npm pacman pip* podman puppet rpm salt-call service snap sysctl systemctl update- \
         alternatives virsh yum zypper",
    ),
    (Kind::Accounts, "adduser chage gpasswd groupadd groupmod groupmems passwd useradd usermod"),
    (Kind::Input, "at batch chgpasswd chpasswd crontab newusers"),
    (Kind::Becomes, "login runuser su"),
];

/// When the program called `name` makes root.
pub(super) fn kind(name: &str) -> Option<Kind> {
    let versioned = |stem: &str| {
        name.strip_prefix(stem)
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-'))
    };
    let known = |listed: &&str| listed.strip_suffix('*').map_or(*listed == name, versioned);
    PROGRAMS.iter().find(|(_, names)| names.split(' ').any(|listed| known(&listed))).map(|(kind, _)| *kind)
}

/// Files and folders where what one writes is what root runs or believes. What ends in no slash also stands for names that
/// begin so: `/etc/cron.d/x`, `/etc/passwd-`.
const TRUSTED: &str = "/bin/ /boot/ /dev/mem /dev/nvme /dev/sd /dev/vd /etc/anacrontab /etc/apt/ /etc/bash.bashrc /etc/cron \
 /etc/doas /etc/environment /etc/group /etc/gshadow /etc/init.d/ /etc/ld.so /etc/logrotate \
 /etc/modprobe.d/ /etc/nsswitch.conf /etc/pam /etc/passwd /etc/polkit-1/ /etc/profile /etc/rc.local \
 /etc/security/ /etc/shadow /etc/ssh/ /etc/subuid /etc/sudo /etc/systemd/ /etc/udev/ /lib /root/ \
 /sbin/ /usr/ /var/spool/cron";

/// Whether root runs or believes what stands at `path`.
pub(super) fn trusted(path: &str) -> bool {
    let under = |known: &str| path.starts_with(known) || known.strip_suffix('/') == Some(path);
    matches!(path, "/" | "/etc" | "/etc/") || TRUSTED.split(' ').any(under)
}
