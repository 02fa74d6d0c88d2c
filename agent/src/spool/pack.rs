//! Facts as they are spooled and sent: zstd, within what the collector accepts ([`audit::api`]).
//!
//! The collector refuses bodies that grow more than [`MAX_INFLATION`] times, because those are how bombs look. An honest
//! list of alike lines can grow more; such a body is lengthened by a skippable frame (RFC 8878 3.1.2), which decoders pass
//! over.

use audit::api::{ALWAYS_INFLATED, MAX_FACTS, MAX_FACTS_SENT, MAX_INFLATION};

/// zstd's own default: 3.
const LEVEL: i32 = 3;
/// RFC 8878 3.1.2: the first of the skippable frames' magic numbers, then the length as four bytes, little-endian.
const SKIPPABLE: u32 = 0x184D_2A50;

/// More than the collector takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{size} bytes {what}, more than the {limit} a collector takes")]
pub(crate) struct TooLarge {
    size: usize,
    what: &'static str,
    limit: usize,
}

/// Whether `bytes` can be sent.
pub(crate) fn fits(bytes: &[u8]) -> Result<(), TooLarge> {
    if bytes.len() > MAX_FACTS {
        return Err(TooLarge { size: bytes.len(), what: "of facts", limit: MAX_FACTS });
    }
    // What is small cannot become too large; larger facts are compressed to know.
    if bytes.len() <= MAX_FACTS_SENT {
        return Ok(());
    }
    match pack(bytes) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(error.downcast().unwrap_or(TooLarge { size: bytes.len(), what: "of facts", limit: MAX_FACTS }))
        }
    }
}

/// Compresses `bytes`.
pub(super) fn pack(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    if bytes.len() > MAX_FACTS {
        return Err(TooLarge { size: bytes.len(), what: "of facts", limit: MAX_FACTS }.into());
    }
    let mut packed = zstd::bulk::compress(bytes, LEVEL)?;
    if bytes.len() > ALWAYS_INFLATED {
        let due = bytes.len().div_ceil(MAX_INFLATION);
        if packed.len() < due {
            let padding = u32::try_from((due - packed.len()).saturating_sub(8))?;
            packed.extend_from_slice(&SKIPPABLE.to_le_bytes());
            packed.extend_from_slice(&padding.to_le_bytes());
            packed.resize(packed.len() + padding as usize, 0);
        }
    }
    if packed.len() > MAX_FACTS_SENT {
        return Err(TooLarge { size: packed.len(), what: "of compressed facts", limit: MAX_FACTS_SENT }.into());
    }
    Ok(packed)
}

/// The bytes that were compressed, at most [`MAX_FACTS`].
pub(super) fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    zstd::stream::Decoder::new(packed)?.take(MAX_FACTS as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FACTS {
        return Err(std::io::Error::other("inflates to more than facts may be"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_and_never_looks_like_a_bomb() {
        for bytes in [Vec::new(), b"{}".to_vec(), vec![b'a'; ALWAYS_INFLATED + 1], vec![b'a'; MAX_FACTS]] {
            let packed = pack(&bytes).unwrap();
            assert_eq!(unpack(&packed).unwrap(), bytes);
            let grows = bytes.len() > ALWAYS_INFLATED && bytes.len() > packed.len() * MAX_INFLATION;
            assert!(!grows, "{} from {}", bytes.len(), packed.len());
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_and_after_compression() {
        assert!(pack(&vec![b'a'; MAX_FACTS + 1]).is_err());
        let mut seed = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .take(MAX_FACTS_SENT + 100_000)
        .collect();
        assert!(fits(&noise).unwrap_err().to_string().contains("compressed"));
        assert!(fits(&vec![b'a'; MAX_FACTS]).is_ok());
    }

    #[test]
    fn a_bomb_does_not_inflate() {
        let bomb = zstd::bulk::compress(&vec![0; MAX_FACTS * 4], 3).unwrap();
        assert!(unpack(&bomb).is_err());
        assert!(unpack(b"torn").is_err());
    }
}
