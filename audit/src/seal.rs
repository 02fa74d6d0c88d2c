//! Signed statements: DSSE envelopes, Ed25519, one payload type per kind of statement.
//!
//! What is signed is DSSE's pre-authentication encoding of the payload type and the payload's bytes, so a receipt can
//! never be taken for a report. The bytes that were signed are the bytes that are kept; nothing is serialised again.
//! [`Verified`] can only be made by [`verify`]: a function that needs trust asks for it.
//! Source: the DSSE protocol specification v1.0.2, and RFC 8032 for Ed25519.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The largest envelope accepted, in bytes. An ordinary report is under 700.
pub const MAX_ENVELOPE: usize = 64 * 1024;

/// A statement that may be signed: its payload type keeps kinds apart.
pub trait Statement: Serialize + DeserializeOwned {
    /// The DSSE payload type.
    const TYPE: &'static str;
}

/// Why an envelope is not evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a DSSE envelope at all.
    #[error("not a DSSE envelope: {0}")]
    NotAnEnvelope(String),
    /// Larger than [`MAX_ENVELOPE`].
    #[error("an envelope of {0} bytes is larger than {MAX_ENVELOPE}")]
    TooLarge(usize),
    /// A statement of another kind.
    #[error("a statement of type {found:?} where {expected:?} is due")]
    OtherType {
        /// The type due.
        expected: &'static str,
        /// The type found.
        found: String,
    },
    /// No signature by the key that was asked for holds.
    #[error("no valid signature by key {0}")]
    BadSignature(String),
    /// Signed, but not a statement of its type.
    #[error("signed, but not understood: {0}")]
    NotUnderstood(String),
}

/// A DSSE envelope, taken apart but not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<SignatureEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureEntry {
    keyid: String,
    sig: String,
}

/// A statement whose signature holds. Only [`verify`] and [`seal`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    statement: T,
    id: Digest,
    key: Digest,
}

impl<T> Verified<T> {
    /// What was stated.
    pub fn statement(&self) -> &T {
        &self.statement
    }

    /// The digest of what was signed: the statement's identity, the same however the envelope is spelt.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The digest of the key that signed.
    pub fn key(&self) -> Digest {
        self.key
    }
}

/// A statement just signed, with the bytes to keep.
#[derive(Debug, Clone)]
pub struct Sealed<T> {
    /// The statement and its identity.
    pub verified: Verified<T>,
    /// The envelope as it is to be spooled, sent and stored.
    pub bytes: Vec<u8>,
}

/// The identity of a public key.
pub fn key_id(key: &VerifyingKey) -> Digest {
    Digest::of(key.as_bytes())
}

/// The id `statement` would be signed under: [`Verified::id`] of what is not at hand any more.
pub fn id_of<T: Statement>(statement: &T) -> Result<Digest, serde_json::Error> {
    Ok(Digest::of(&pre_authentication_encoding(T::TYPE, &serde_json::to_vec(statement)?)))
}

/// Signs `statement`.
pub fn seal<T: Statement>(statement: T, key: &SigningKey) -> Result<Sealed<T>, serde_json::Error> {
    let payload = serde_json::to_vec(&statement)?;
    let signed = pre_authentication_encoding(T::TYPE, &payload);
    let key_digest = key_id(&key.verifying_key());
    let envelope = Envelope {
        payload: STANDARD.encode(&payload),
        payload_type: T::TYPE.to_owned(),
        signatures: vec![SignatureEntry {
            keyid: key_digest.short(),
            sig: STANDARD.encode(key.sign(&signed).to_bytes()),
        }],
    };
    let bytes = serde_json::to_vec(&envelope)?;
    Ok(Sealed { verified: Verified { statement, id: Digest::of(&signed), key: key_digest }, bytes })
}

/// The bytes by which `key` signs `statement`, apart from it: for what is kept in pieces and put together again.
pub fn sign<T: Statement>(statement: &T, key: &SigningKey) -> Result<[u8; Signature::BYTE_SIZE], serde_json::Error> {
    Ok(key.sign(&pre_authentication_encoding(T::TYPE, &serde_json::to_vec(statement)?)).to_bytes())
}

/// Whether `key` signed `statement` with these bytes.
pub fn is_signed<T: Statement>(statement: &T, signature: &[u8], key: &VerifyingKey) -> bool {
    let Ok(payload) = serde_json::to_vec(statement) else { return false };
    let signed = pre_authentication_encoding(T::TYPE, &payload);
    Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(&signed, &signature).is_ok())
}

/// The statement in `bytes`, if `key` signed it.
///
/// Order matters: size, then shape, then type, then signature, and only then is the payload parsed.
pub fn verify<T: Statement>(bytes: &[u8], key: &VerifyingKey) -> Result<Verified<T>, Refusal> {
    let envelope = open(bytes)?;
    envelope.expect_type::<T>()?;
    let payload = envelope.payload()?;
    let signed = pre_authentication_encoding(T::TYPE, &payload);
    let key_digest = key_id(key);
    let holds = envelope.signatures.iter().any(|entry| {
        // Strict: batch and lenient verification accept crafted signatures that two verifiers would judge differently.
        signature(entry).is_some_and(|signature| key.verify_strict(&signed, &signature).is_ok())
    });
    if !holds {
        return Err(Refusal::BadSignature(key_digest.short()));
    }
    let statement = serde_json::from_slice(&payload).map_err(|error| Refusal::NotUnderstood(error.to_string()))?;
    Ok(Verified { statement, id: Digest::of(&signed), key: key_digest })
}

/// Takes an envelope apart without believing it: to learn which key to ask for.
pub fn open(bytes: &[u8]) -> Result<Envelope, Refusal> {
    if bytes.len() > MAX_ENVELOPE {
        return Err(Refusal::TooLarge(bytes.len()));
    }
    let envelope: Envelope =
        serde_json::from_slice(bytes).map_err(|error| Refusal::NotAnEnvelope(error.to_string()))?;
    match envelope.signatures.len() {
        1..=4 => Ok(envelope),
        count => Err(Refusal::NotAnEnvelope(format!("{count} signatures where 1 to 4 are due"))),
    }
}

impl Envelope {
    /// The payload as stated by whoever sent it: unverified, to look up a key by, never to act on.
    pub fn unverified<T: Statement>(&self) -> Result<T, Refusal> {
        self.expect_type::<T>()?;
        serde_json::from_slice(&self.payload()?).map_err(|error| Refusal::NotUnderstood(error.to_string()))
    }

    fn expect_type<T: Statement>(&self) -> Result<(), Refusal> {
        if self.payload_type == T::TYPE {
            return Ok(());
        }
        Err(Refusal::OtherType { expected: T::TYPE, found: self.payload_type.chars().take(100).collect() })
    }

    fn payload(&self) -> Result<Vec<u8>, Refusal> {
        let error = |error: base64::DecodeError| Refusal::NotAnEnvelope(format!("payload: {error}"));
        STANDARD.decode(&self.payload).map_err(error)
    }
}

fn signature(entry: &SignatureEntry) -> Option<Signature> {
    Signature::from_slice(&STANDARD.decode(&entry.sig).ok()?).ok()
}

/// DSSE's PAE: `"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize, Clone)]
    struct Said(String);
    impl Statement for Said {
        const TYPE: &'static str = "application/vnd.plumbline.test+json";
    }
    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Other(String);
    impl Statement for Other {
        const TYPE: &'static str = "application/vnd.plumbline.other+json";
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn the_encoding_is_the_one_the_specification_gives_as_its_example() {
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn what_was_sealed_verifies_under_its_key_and_no_other() {
        let sealed = seal(Said("it".into()), &key(1)).unwrap();
        let verified = verify::<Said>(&sealed.bytes, &key(1).verifying_key()).unwrap();
        assert_eq!(verified, sealed.verified);
        let refusal = verify::<Said>(&sealed.bytes, &key(2).verifying_key()).unwrap_err();
        assert!(matches!(refusal, Refusal::BadSignature(_)));
    }

    #[test]
    fn a_signature_apart_from_its_statement_holds_for_that_one_and_no_other_kind() {
        let signature = sign(&Said("it".into()), &key(1)).unwrap();
        assert!(is_signed(&Said("it".into()), &signature, &key(1).verifying_key()));
        assert!(!is_signed(&Said("is".into()), &signature, &key(1).verifying_key()));
        assert!(!is_signed(&Other("it".into()), &signature, &key(1).verifying_key()));
        assert!(!is_signed(&Said("it".into()), &signature, &key(2).verifying_key()));
        assert!(!is_signed(&Said("it".into()), &signature[..63], &key(1).verifying_key()));
    }

    #[test]
    fn any_flipped_bit_of_the_envelope_is_refused_or_changes_nothing_that_was_said() {
        let sealed = seal(Said("something said".into()), &key(1)).unwrap();
        for position in 0..sealed.bytes.len() {
            for bit in 0..8 {
                let mut bytes = sealed.bytes.clone();
                bytes[position] ^= 1 << bit;
                if let Ok(verified) = verify::<Said>(&bytes, &key(1).verifying_key()) {
                    assert_eq!(verified.id(), sealed.verified.id(), "byte {position} bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_statement_of_one_kind_is_never_taken_for_another() {
        let sealed = seal(Said("it".into()), &key(1)).unwrap();
        let refusal = verify::<Other>(&sealed.bytes, &key(1).verifying_key()).unwrap_err();
        assert!(matches!(refusal, Refusal::OtherType { .. }));
        let relabelled = String::from_utf8(sealed.bytes).unwrap().replace("test+json", "other+json");
        let refusal = verify::<Other>(relabelled.as_bytes(), &key(1).verifying_key()).unwrap_err();
        assert!(matches!(refusal, Refusal::BadSignature(_)));
    }

    #[test]
    fn hostile_envelopes_are_refused_by_name() {
        let many = format!(
            r#"{{"payload":"","payloadType":"t","signatures":[{}]}}"#,
            [r#"{"keyid":"","sig":""}"#; 5].join(",")
        );
        let deep = "[".repeat(60_000);
        for bytes in
            ["", "{}", "null", &many, &deep, r#"{"payload":"","payload":"","payloadType":"t","signatures":[]}"#]
        {
            assert!(matches!(open(bytes.as_bytes()), Err(Refusal::NotAnEnvelope(_))), "{bytes:.80}");
        }
        assert!(matches!(open(&vec![b' '; MAX_ENVELOPE + 1]), Err(Refusal::TooLarge(_))));
    }
}
