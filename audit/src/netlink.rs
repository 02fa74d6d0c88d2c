//! Messages of netlink(7) as the kernel dumps them: nlmsghdr, then a header of the message's own kind, then attributes.
//! Lengths that do not fit end the walk; nothing here panics on hostile bytes.

/// NLMSG_DONE: the end of one dump.
pub const DONE: u16 = 3;

/// One message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// What follows nlmsghdr.
    pub body: &'a [u8],
}

/// The messages of `bytes`, one after the other.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok().filter(|length| *length >= 16)?;
        let message = bytes.get(..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind: u16_at(message, 4)?, body: message.get(16..)? })
    })
}

/// The attributes of `bytes`: type without its flags, and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A number in the machine's order at `at`.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number in the machine's order at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number in the machine's order at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// An address of 4 or 16 bytes in the network's order.
pub fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    match bytes.len() {
        4 => Some(std::net::IpAddr::from(*bytes.first_chunk::<4>()?)),
        16 => Some(std::net::IpAddr::from(*bytes.first_chunk::<16>()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_do_not_fit_end_the_walk() {
        for bytes in [&[][..], &[0; 16], &[255; 40], &[17, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(messages(bytes).count(), 0, "{bytes:?}");
        }
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[5, 0, 1, 0x80, 9, 0, 0, 0, 4, 0, 2, 0]).collect::<Vec<_>>(), [(1, &[9][..]), (2, &[])]);
    }
}
