//! chronyd's replies, protocol version 6: fixed layouts in network byte order, as `candm.h` documents them.
//!
//! A reply has 28 bytes of header (version, packet type, two reserved; command, reply, status, three paddings of 16
//! bits; sequence and two paddings of 32) and then its data. The request side stands in the agent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::config::escaped;
use super::{Daemon, Leap, State};
use crate::host::{Gap, GapKind};

const VERSION: u8 = 6;
const REPLY: u8 = 2;
const RPY_SOURCE_DATA: u16 = 3;
const RPY_TRACKING: u16 = 5;
const RPY_NTP_SOURCE_NAME: u16 = 19;
const STT_SUCCESS: u16 = 0;
const STT_UNAUTH: u16 = 2;
const STT_NOHOSTACCESS: u16 = 10;
const MODE_REFCLOCK: u16 = 2;
const SELECTED: u16 = 0;
/// More than any daemon follows; the agent stops at the same number.
const MAX_SOURCES: usize = 1_024;

/// chronyd's own word: RPY_TRACKING.
pub(super) fn tracking(packet: &[u8]) -> Result<State, Gap> {
    let data = data_of(packet, RPY_TRACKING, "ChronyTracking")?;
    read_tracking(data).ok_or_else(|| Gap::malformed("ChronyTracking", "a reply that ends too early"))
}

fn read_tracking(mut data: &[u8]) -> Option<State> {
    let (_reference, _address) = (u32(&mut data)?, take::<20>(&mut data)?);
    let (stratum, leap) = (u16(&mut data)?, u16(&mut data)?);
    let _reference_time = take::<12>(&mut data)?;
    // chronyd counts the correction still to be added to the clock: a host that is ahead has a negative one.
    let offset_ms = float(&mut data)?.saturating_neg();
    let _seven_more = take::<32>(&mut data)?;
    let leap = match leap {
        0 => Leap::None,
        1 => Leap::Insert,
        2 => Leap::Delete,
        _ => Leap::Unsynchronised,
    };
    Some(State::Tracking { synchronised: leap != Leap::Unsynchronised, leap, offset_ms, stratum })
}

/// One source as the agent hands it over.
#[derive(Deserialize)]
struct Told {
    source: String,
    name: Option<String>,
}

/// The sources chronyd uses, with their subjects' second half: their address.
pub(super) fn sources(answer: &[u8]) -> Result<Vec<(String, State)>, Gap> {
    let wrong = |detail: String| Gap::malformed("ChronySources", detail);
    let told: Vec<Told> = serde_json::from_slice(answer).map_err(|error| wrong(error.to_string()))?;
    if told.len() > MAX_SOURCES {
        return Err(Gap::new(GapKind::TooLarge, "ChronySources", format!("more than {MAX_SOURCES} sources")));
    }
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| wrong("not base64".into()));
    let mut sources = Vec::new();
    for told in told {
        let name = match told.name {
            Some(packet) => name(data_of(&decode(&packet)?, RPY_NTP_SOURCE_NAME, "ChronySources")?),
            None => None,
        };
        let packet = decode(&told.source)?;
        let data = data_of(&packet, RPY_SOURCE_DATA, "ChronySources")?;
        sources.push(read_source(data, name).ok_or_else(|| wrong("a reply that ends too early".into()))?);
    }
    Ok(sources)
}

fn read_source(mut data: &[u8], name: Option<String>) -> Option<(String, State)> {
    let (address, family, _pad) = (take::<16>(&mut data)?, u16(&mut data)?, u16(&mut data)?);
    let (_poll, stratum, state, mode) = (u16(&mut data)?, u16(&mut data)?, u16(&mut data)?, u16(&mut data)?);
    let (_flags, reachability, _age) = (u16(&mut data)?, u16(&mut data)?, u32(&mut data)?);
    let _measurements = take::<12>(&mut data)?;
    let [a, b, c, d, ..] = address;
    let address = match family {
        // A reference clock has its four-letter id where an address would be.
        1 if mode == MODE_REFCLOCK => Some(escaped([a, b, c, d].split(|byte| *byte == 0).next().unwrap_or_default())),
        1 => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
        2 => Some(std::net::Ipv6Addr::from(address).to_string()),
        // Not resolved yet: a number chronyd made up, which another start would make up differently.
        _ => None,
    };
    let subject = address.or_else(|| name.clone()).unwrap_or_else(|| "unresolved".into());
    let (reachable, selected) = (reachability != 0, state == SELECTED);
    Some((subject, State::Source { daemon: Daemon::Chrony, name, reachable, selected, stratum }))
}

/// RPY_NTP_SOURCE_NAME: 256 bytes, ended by a zero. `None` for an empty name.
fn name(data: &[u8]) -> Option<String> {
    let name = data.iter().take(256).copied().take_while(|byte| *byte != 0).collect::<Vec<u8>>();
    (!name.is_empty()).then(|| escaped(&name).to_lowercase())
}

/// The data of a reply of the kind asked for.
fn data_of<'a>(packet: &'a [u8], kind: u16, what: &str) -> Result<&'a [u8], Gap> {
    let mut rest = packet;
    let header = (|| {
        let [version, packet_type, _, _] = take::<4>(&mut rest)?;
        let (_command, reply, status) = (u16(&mut rest)?, u16(&mut rest)?, u16(&mut rest)?);
        let _paddings_and_sequence = take::<18>(&mut rest)?;
        Some((version, packet_type, reply, status))
    })();
    match header.ok_or_else(|| Gap::malformed(what, "a reply that ends inside its header"))? {
        (VERSION, REPLY, _, STT_UNAUTH | STT_NOHOSTACCESS) => {
            Err(Gap::new(GapKind::Denied, what, "chronyd does not answer us"))
        }
        (VERSION, REPLY, reply, STT_SUCCESS) if reply == kind => Ok(rest),
        (VERSION, REPLY, _, STT_SUCCESS) => Err(Gap::malformed(what, "a reply to another question")),
        (VERSION, REPLY, _, status) => Err(Gap::new(GapKind::Failed, what, format!("chronyd answers status {status}"))),
        (version, ..) => Err(Gap::new(GapKind::Unsupported, what, format!("chronyd speaks version {version}, not 6"))),
    }
}

/// chrony's own float, here in milliseconds: seven bits of exponent and 25 of coefficient, both signed, meaning
/// coefficient × 2^(exponent − 25) seconds.
fn float(data: &mut &[u8]) -> Option<i64> {
    let bits = i32::from_be_bytes(take::<4>(data)?);
    let exponent = bits >> 25;
    let coefficient = (bits << 7) >> 7;
    let seconds = f64::from(coefficient) * 2f64.powi(exponent - 25);
    // A cast from a float saturates, so absurd bytes give an absurd and finite offset.
    Some((seconds * 1_000.0).round() as i64)
}

fn u16(data: &mut &[u8]) -> Option<u16> {
    take(data).map(u16::from_be_bytes)
}

fn u32(data: &mut &[u8]) -> Option<u32> {
    take(data).map(u32::from_be_bytes)
}

fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*taken)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A reply as the layout says.
    pub(in super::super) fn reply(kind: u16, status: u16, data: &[u8]) -> Vec<u8> {
        let mut packet = vec![VERSION, REPLY, 0, 0, 0, 33];
        packet.extend(kind.to_be_bytes());
        packet.extend(status.to_be_bytes());
        packet.extend([0; 18]);
        packet.extend(data);
        packet
    }

    pub(in super::super) fn encoded(exponent: i32, coefficient: i32) -> [u8; 4] {
        ((exponent << 25) | (coefficient & 0x01ff_ffff)).to_be_bytes()
    }

    pub(in super::super) fn tracking_data(leap: u16, offset: [u8; 4]) -> Vec<u8> {
        let mut data = vec![0; 24];
        data.extend(3u16.to_be_bytes());
        data.extend(leap.to_be_bytes());
        data.extend([0; 12]);
        data.extend(offset);
        data.extend([0; 36]);
        data
    }

    /// 10.77.0.1 at stratum 2.
    pub(in super::super) fn source_data(state: u16, reachability: u16) -> Vec<u8> {
        let mut data = vec![10, 77, 0, 1];
        data.extend([0; 12]);
        for word in [1u16, 0, 6, 2, state, 0, 0, reachability] {
            data.extend(word.to_be_bytes());
        }
        data.extend([0; 16]);
        data
    }

    #[test]
    fn offsets_are_read_from_chronys_own_float_and_turned_to_how_far_the_host_is_ahead() {
        // A correction of 5 s is 5·2^21 × 2^(4−25), one of −0.25 s is −2^23 × 2^(0−25).
        for (bits, ms) in [
            (encoded(4, 5 << 21), -5_000),
            (encoded(0, -(1 << 23)), 250),
            (encoded(-20, 1 << 23), 0),
            ([0; 4], 0),
            (encoded(63, (1 << 24) - 1), -i64::MAX),
        ] {
            let State::Tracking { offset_ms, .. } = tracking(&reply(5, 0, &tracking_data(0, bits))).unwrap() else {
                unreachable!("tracking gives tracking")
            };
            assert_eq!(offset_ms, ms, "{bits:?}");
        }
    }

    #[test]
    fn leap_3_means_not_synchronised() {
        for (leap, expected) in [(0, true), (1, true), (2, true), (3, false), (9, false)] {
            let seen = tracking(&reply(5, 0, &tracking_data(leap, [0; 4]))).unwrap();
            assert!(matches!(seen, State::Tracking { synchronised, stratum: 3, .. } if synchronised == expected));
        }
    }

    #[test]
    fn a_packet_cut_anywhere_is_a_gap_and_never_a_panic() {
        let whole = reply(5, 0, &tracking_data(0, [0; 4]));
        assert!(tracking(&whole).is_ok());
        for end in 0..(whole.len() - 4) {
            assert_eq!(tracking(&whole[..end]).unwrap_err().kind, GapKind::Malformed, "cut at {end}");
        }
    }

    #[test]
    fn refusals_other_versions_and_other_replies_are_told_apart() {
        assert_eq!(tracking(&reply(5, 2, &[])).unwrap_err().kind, GapKind::Denied);
        assert_eq!(tracking(&reply(5, 1, &[])).unwrap_err().kind, GapKind::Failed);
        assert_eq!(tracking(&reply(3, 0, &[0; 200])).unwrap_err().kind, GapKind::Malformed);
        let mut old = reply(5, 0, &tracking_data(0, [0; 4]));
        old[0] = 5;
        assert_eq!(tracking(&old).unwrap_err().kind, GapKind::Unsupported);
    }

    #[test]
    fn a_source_has_its_address_its_name_and_no_counters() {
        let data = source_data(0, 0o377);
        let mut name = b"NTP.example.org".to_vec();
        name.resize(256, 0);
        let answer = serde_json::json!([
            {"source": STANDARD.encode(reply(3, 0, &data)), "name": STANDARD.encode(reply(19, 0, &name))}
        ]);
        let seen = sources(answer.to_string().as_bytes()).unwrap();
        let expected = State::Source {
            daemon: Daemon::Chrony,
            name: Some("ntp.example.org".into()),
            reachable: true,
            selected: true,
            stratum: 2,
        };
        assert_eq!(seen, [("10.77.0.1".to_owned(), expected)]);
        for broken in ["", "[", "{}", "[{}]", r#"[{"source":"%"}]"#, r#"[{"source":"AAAA"}]"#] {
            assert!(sources(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(0u8.., 0..300), kind in 0u16..20) {
            let _ = tracking(&bytes);
            let _ = tracking(&reply(5, 0, &bytes));
            let answer = serde_json::json!([{"source": STANDARD.encode(reply(3, 0, &bytes)), "name": STANDARD.encode(reply(kind, 0, &bytes))}]);
            let _ = sources(answer.to_string().as_bytes());
        }
    }
}
