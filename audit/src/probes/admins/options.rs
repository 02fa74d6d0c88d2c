//! Which values the options of a rule may have (sudoers(5), "Option_Spec"): folders, times, timeouts.

/// Refuses a value sudo would refuse.
pub(super) fn check_option(option: &str, value: &[u8]) -> Result<(), &'static str> {
    let right = match option {
        "CWD" | "CHROOT" => value.starts_with(b"/") || value.starts_with(b"~") || value == b"*",
        "TIMEOUT" => is_timeout(value),
        "NOTBEFORE" | "NOTAFTER" => is_time(value),
        _ => true,
    };
    if right { Ok(()) } else { Err("an option has a value it cannot have") }
}

/// Numbers, each with its unit, from days to seconds: `7d8h30m10s`; the last may stand alone.
fn is_timeout(value: &[u8]) -> bool {
    let mut unit = 0;
    let mut rest = value;
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let Some((sign, after)) = rest.get(digits..).and_then(<[u8]>::split_first) else { return digits > 0 };
        let place = b"dhms".iter().position(|known| *known == sign.to_ascii_lowercase());
        let Some(place) = place.filter(|place| digits > 0 && *place >= unit) else { return false };
        unit = place;
        rest = after;
    }
    !value.is_empty()
}

/// The shape of a Generalized Time (RFC 4517 §3.3.13): year, month, day and hour, perhaps minute and second, a fraction, a
/// zone. Sudo takes the thirteenth month for the next January, so the numbers may be any.
fn is_time(value: &[u8]) -> bool {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (_, mut rest) = value.split_at(digits);
    if !matches!(digits, 10 | 12 | 14) {
        return false;
    }
    if let [b'.' | b',', fraction @ ..] = rest {
        let places = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if places == 0 {
            return false;
        }
        rest = fraction.get(places..).unwrap_or_default();
    }
    match rest {
        [] | [b'Z'] => true,
        [b'+' | b'-', zone @ ..] => matches!(zone.len(), 2 | 4) && zone.iter().all(u8::is_ascii_digit),
        [..] => false,
    }
}
