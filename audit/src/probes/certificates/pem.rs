//! The certificates in a file's bytes: DER as it is, or every `CERTIFICATE` block of a PEM text (RFC 7468).
//!
//! As lenient as OpenSSL where it costs nothing: text around the blocks, any line length, CR LF, blanks at the ends of lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most certificates of one file.
const MAX_CERTIFICATES: usize = 1000;
/// The largest certificate, in bytes; those of the web are 1 to 8 KiB.
pub(super) const MAX_DER: usize = 256 * 1024;

/// The DER of every certificate in `bytes`, in order. The error says what is wrong with the whole file.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<Result<Vec<u8>, &'static str>>, &'static str> {
    // A DER sequence begins with this byte, and no text does that has a block in it.
    if let [0x30, second, ..] = bytes
        && !second.is_ascii_graphic()
    {
        return if bytes.len() > MAX_DER { Err("too large for a certificate") } else { Ok(vec![Ok(bytes.to_vec())]) };
    }
    let mut found = Vec::new();
    let mut inside: Option<(&[u8], Vec<u8>)> = None;
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        inside = match (inside, begins(line)) {
            (_, Some(label)) => Some((label, Vec::new())),
            (Some((label, body)), None) if ends(line, label) => {
                if found.len() >= MAX_CERTIFICATES {
                    return Err("more certificates than are told of one file");
                }
                found.push(STANDARD.decode(body).map_err(|_| "a certificate that is not base64"));
                None
            }
            (Some((label, mut body)), None) => {
                // What is not base64 is told at the end of the block.
                body.extend_from_slice(line);
                if body.len() > 2 * MAX_DER {
                    return Err("a block without an end");
                }
                Some((label, body))
            }
            (None, None) => None,
        };
    }
    match (inside, found.is_empty()) {
        (Some(_), _) => Err("a certificate cut short"),
        (None, true) => Err("holds no certificate, in PEM or DER"),
        (None, false) => Ok(found),
    }
}

/// The label of a block of ours that begins here. OpenSSL's `TRUSTED CERTIFICATE` has more after the certificate.
fn begins(line: &[u8]) -> Option<&[u8]> {
    let label = line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")?;
    matches!(label, b"CERTIFICATE" | b"X509 CERTIFICATE" | b"TRUSTED CERTIFICATE").then_some(label)
}

fn ends(line: &[u8], label: &[u8]) -> bool {
    line.strip_prefix(b"-----END ").and_then(|line| line.strip_suffix(b"-----")) == Some(label)
}
