//! The only place that decompresses: bounded in size, in ratio and in window, whoever sent it.

use std::io::Read as _;

use audit::api::{ALWAYS_INFLATED, MAX_FACTS, MAX_FACTS_SENT, MAX_INFLATION};

use crate::error::Refusal;

/// The largest window a body may ask for, as a power of two: 8 MiB, what zstd itself uses up to level 19 and no more.
const WINDOW_LOG: u32 = 23;

/// What `sent` inflates to, if it stays within the bounds.
pub fn inflate(sent: &[u8]) -> Result<Vec<u8>, Refusal> {
    if sent.len() > MAX_FACTS_SENT {
        return Err(Refusal::TooLarge(format!("facts of {} bytes are larger than {MAX_FACTS_SENT}", sent.len())));
    }
    let allowed = sent.len().saturating_mul(MAX_INFLATION).clamp(ALWAYS_INFLATED, MAX_FACTS);
    let bad = |error: std::io::Error| Refusal::Invalid(format!("facts are not zstd: {error}"));
    let mut decoder = zstd::stream::read::Decoder::new(sent).map_err(bad)?;
    decoder.window_log_max(WINDOW_LOG).map_err(bad)?;
    let mut inflated = Vec::new();
    let limit = u64::try_from(allowed).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut inflated).map_err(bad)?;
    if inflated.len() > allowed {
        return Err(Refusal::TooLarge(format!("facts inflate to more than the {allowed} bytes allowed")));
    }
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 3).unwrap()
    }

    #[test]
    fn what_is_within_bounds_comes_back_whole() {
        let small = vec![b'x'; ALWAYS_INFLATED];
        assert_eq!(inflate(&deflate(&small)).unwrap(), small);
        assert_eq!(inflate(&deflate(b"")).unwrap(), b"");
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_inflated_whole() {
        let bomb = deflate(&vec![0; 512 * 1024 * 1024]);
        assert!(bomb.len() < 64 * 1024, "{}", bomb.len());
        assert!(matches!(inflate(&bomb), Err(Refusal::TooLarge(_))));
    }

    #[test]
    fn what_is_not_zstd_or_cut_short_is_refused() {
        let whole = deflate(b"some facts that are long enough to be cut");
        for bytes in [b"{}".as_slice(), &whole[..whole.len() - 3], &[]] {
            let answer = inflate(bytes);
            assert!(matches!(answer, Err(Refusal::Invalid(_))) || answer.is_ok_and(|body| body.is_empty()));
        }
        assert!(matches!(inflate(&vec![0; MAX_FACTS_SENT + 1]), Err(Refusal::TooLarge(_))));
    }
}
