//! Extended attributes that carry rights, as their tools write them.
//!
//! An access control list: `system.posix_acl_access`, version 2 as the kernel gives it (linux/posix_acl_xattr.h, acl(5)).
//! Capabilities: `security.capability`, `struct vfs_cap_data` (linux/capability.h, capabilities(7)). Both little-endian.

use super::accounts::Names;

/// What an access control list says beyond the mode bits: entries for named users and groups, the owning group's own
/// and the mask. `None` where it says nothing more.
pub(super) fn acl(bytes: &[u8], users: &Names, groups: &Names) -> Result<Option<String>, &'static str> {
    const VERSION: u32 = 2;
    let (version, entries) = bytes.split_at_checked(4).ok_or("an access control list cut short")?;
    if word(version) != Some(VERSION) || entries.len() % 8 != 0 {
        return Err("an access control list in a form that is not known");
    }
    let mut said = Vec::new();
    for entry in entries.chunks_exact(8) {
        let tag = half(entry.get(..2)).ok_or("cut short")?;
        let rights = half(entry.get(2..4)).ok_or("cut short")?;
        let id = entry.get(4..).and_then(word).ok_or("cut short")?;
        let who = match tag {
            // The owner's and everybody's are the mode's own.
            0x01 | 0x20 => continue,
            0x02 => format!("user:{}", users.of(id)),
            0x04 => "group:".to_owned(),
            0x08 => format!("group:{}", groups.of(id)),
            0x10 => "mask:".to_owned(),
            _ => return Err("an access control list with an entry that is not known"),
        };
        let right = |bit: u16, letter: char| if rights & bit == 0 { '-' } else { letter };
        said.push(format!("{who}:{}{}{}", right(4, 'r'), right(2, 'w'), right(1, 'x')));
    }
    // Where the owning group's entry stands alone it is the mode's middle digit.
    let more = said.iter().any(|entry| !entry.starts_with("group::"));
    Ok(more.then(|| said.join(",")))
}

/// File capabilities as getcap(8) writes them: `cap_net_raw,cap_net_admin=ep`, by number, those with the same flags together.
pub(in crate::probes) fn capabilities(bytes: &[u8]) -> Result<String, &'static str> {
    const SHORT: &str = "capabilities cut short";
    let words: Vec<u32> = bytes.chunks_exact(4).filter_map(word).collect();
    let (head, sets) = words.split_first().ok_or(SHORT)?;
    let pairs = match head >> 24 {
        1 => 1,
        2 | 3 => 2,
        _ => return Err("capabilities of a revision that is not known"),
    };
    let set = |first: usize| -> Option<u64> {
        let low = u64::from(*sets.get(first)?);
        let high = if pairs == 2 { u64::from(*sets.get(first + 2)?) } else { 0 };
        Some(high << 32 | low)
    };
    let (permitted, inheritable) = (set(0).ok_or(SHORT)?, set(1).ok_or(SHORT)?);
    let effective = head & 1 == 1;
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for number in 0..64u32 {
        let has = |set: u64| set >> number & 1 == 1;
        if !has(permitted) && !has(inheritable) {
            continue;
        }
        let flag = |is: bool, letter: &'static str| if is { letter } else { "" };
        let flags = [flag(effective, "e"), flag(has(inheritable), "i"), flag(has(permitted), "p")].concat();
        let name = NAMES.get(number as usize).map_or_else(|| number.to_string(), |name| format!("cap_{name}"));
        match groups.iter_mut().find(|(of, _)| *of == flags) {
            Some((_, names)) => names.push(name),
            None => groups.push((flags, vec![name])),
        }
    }
    let said: Vec<String> = groups.into_iter().map(|(flags, names)| format!("{}={flags}", names.join(","))).collect();
    Ok(if said.is_empty() { "=".to_owned() } else { said.join(" ") })
}

/// The names in what [`capabilities`] wrote.
pub(in crate::probes) fn names(said: &str) -> impl Iterator<Item = &str> {
    said.split(' ')
        .filter_map(|group| group.split('=').next())
        .flat_map(|names| names.split(','))
        .filter(|n| !n.is_empty())
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

fn half(bytes: Option<&[u8]>) -> Option<u16> {
    bytes.and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes)
}

/// By number, from linux/capability.h.
pub(in crate::probes) const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn capabilities_are_written_as_getcap_writes_them() {
        assert_eq!(capabilities(&bytes(&[0x0200_0001, 1 << 13, 0, 0, 0])).unwrap(), "cap_net_raw=ep");
        assert_eq!(
            capabilities(&bytes(&[0x0300_0000, 0, 1 << 10, 1 << 7, 0, 77])).unwrap(),
            "cap_net_bind_service=i cap_bpf=p"
        );
        assert_eq!(capabilities(&bytes(&[0x0100_0001, 3, 2])).unwrap(), "cap_chown=ep cap_dac_override=eip");
        assert_eq!(capabilities(&bytes(&[0x0200_0000, 0, 0, 0, 0])).unwrap(), "=");
        assert_eq!(names("cap_chown,cap_kill=ep cap_bpf=p").collect::<Vec<_>>(), ["cap_chown", "cap_kill", "cap_bpf"]);
    }

    #[test]
    fn cut_or_unknown_attributes_are_refused() {
        let empty = Recorded::new();
        let (users, groups) = (Names::users(&empty), Names::groups(&empty));
        for bad in [&[][..], &[2, 0, 0], &[1, 0, 0, 0], &[2, 0, 0, 0, 1], &[2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(acl(bad, &users, &groups).is_err(), "{bad:?}");
        }
        for bad in [bytes(&[]), bytes(&[0x0200_0001, 1, 1]), bytes(&[0x0900_0001, 1, 1, 1, 1]), vec![1, 2]] {
            assert!(capabilities(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_what_a_list_says_beyond_the_mode_is_told() {
        let empty = Recorded::new();
        let (users, groups) = (Names::users(&empty), Names::groups(&empty));
        let entry = |tag: u32, rights: u32, id: u32| [tag | rights << 16, id];
        let whole: Vec<u32> = [2]
            .into_iter()
            .chain(
                [entry(1, 6, !0), entry(2, 4, 1000), entry(4, 4, !0), entry(0x10, 5, !0), entry(0x20, 0, !0)].concat(),
            )
            .collect();
        assert_eq!(acl(&bytes(&whole), &users, &groups).unwrap().unwrap(), "user:1000:r--,group::r--,mask::r-x");
        let plain: Vec<u32> =
            [2].into_iter().chain([entry(1, 6, !0), entry(4, 4, !0), entry(0x20, 4, !0)].concat()).collect();
        assert_eq!(acl(&bytes(&plain), &users, &groups).unwrap(), None);
    }
}
