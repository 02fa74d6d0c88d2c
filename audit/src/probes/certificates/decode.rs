//! One certificate's DER, as facts. x509-parser takes it apart; names of algorithms and curves are from RFC 3279, 4055, 5480,
//! 5758 and 8410.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::{AlgorithmIdentifier, AttributeTypeAndValue, SubjectPublicKeyInfo, X509Name};

use super::{Certificate, pem};
use crate::digest::Digest;

/// The most names told of one certificate, and the longest of each and of a subject, in bytes.
const MAX_NAMES: usize = 100;
const MAX_NAME: usize = 500;

/// The certificate that `der` is, or begins with.
pub(super) fn certificate(der: &[u8]) -> Result<Certificate, String> {
    if der.len() > pem::MAX_DER {
        return Err("too large for a certificate".into());
    }
    let (rest, parsed) =
        X509Certificate::from_der(der).map_err(|_| "not a certificate, or a damaged one".to_owned())?;
    let own = der.get(..der.len() - rest.len()).unwrap_or_default();
    let is_own_issuer = parsed.subject().as_raw() == parsed.issuer().as_raw();
    let ca = parsed.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
    let validity = parsed.validity();
    Ok(Certificate {
        name: name(parsed.subject()),
        issuer: (!is_own_issuer).then(|| name(parsed.issuer())),
        sha256: Digest::of(own).to_string(),
        from: validity.not_before.timestamp(),
        until: validity.not_after.timestamp(),
        key: key(parsed.public_key()),
        signature: signature(&parsed.signature_algorithm),
        ca,
        names: names(&parsed),
    })
}

fn name(name: &X509Name<'_>) -> String {
    let parts = name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join(" + "));
    cut(parts.collect::<Vec<_>>().join(", "))
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let known = ATTRIBUTES.iter().find(|(id, _)| *id == oid);
    let kind = known.map_or(oid.as_str(), |(_, short)| short);
    let bytes = attribute.as_slice();
    let value = match attribute.attr_value().tag().0 {
        // BMPString and UniversalString: UTF-16 and UTF-32, the high byte first.
        30 => {
            let units: Vec<u16> =
                bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes)).collect();
            String::from_utf16_lossy(&units)
        }
        28 => {
            let code = |four: &[u8]| four.try_into().ok().map(u32::from_be_bytes).and_then(char::from_u32);
            bytes.chunks_exact(4).map(|four| code(four).unwrap_or('\u{fffd}')).collect()
        }
        // TeletexString: taken for Latin-1 by everybody.
        20 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    format!("{kind}={value}")
}

fn key(info: &SubjectPublicKeyInfo<'_>) -> String {
    let oid = info.algorithm.algorithm.to_id_string();
    match oid.as_str() {
        "1.3.101.112" => return "Ed25519".into(),
        "1.3.101.113" => return "Ed448".into(),
        _ => {}
    }
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let digits = rsa.modulus.iter().position(|byte| *byte != 0).and_then(|first| rsa.modulus.get(first..));
            let bits = digits.and_then(|digits| Some(digits.len() * 8 - digits.first()?.leading_zeros() as usize));
            let scheme = if oid == "1.2.840.113549.1.1.10" { "RSA-PSS" } else { "RSA" };
            format!("{scheme} {}", bits.unwrap_or(0))
        }
        Ok(PublicKey::EC(_)) => {
            let curve =
                info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
            let curve = curve.unwrap_or_else(|| "of its own curve".into());
            let known = CURVES.iter().find(|(id, _)| *id == curve);
            format!("EC {}", known.map_or(curve.as_str(), |(_, name)| name))
        }
        Ok(PublicKey::DSA(_)) => "DSA".into(),
        Ok(PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_) | PublicKey::Unknown(_)) | Err(_) => cut(oid),
    }
}

fn signature(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let oid = algorithm.algorithm.to_id_string();
    if let Ok(SignatureAlgorithm::RSASSA_PSS(params)) = SignatureAlgorithm::try_from(algorithm) {
        let hash = params.hash_algorithm_oid().to_id_string();
        let known = HASHES.iter().find(|(id, _)| *id == hash);
        return format!("{} with RSA-PSS", known.map_or(hash.as_str(), |(_, name)| name));
    }
    let known = SIGNATURES.iter().find(|(id, _)| *id == oid);
    known.map_or_else(|| cut(oid), |(_, name)| (*name).to_owned())
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| {
        if let GeneralName::DNSName(name) = name {
            return Some(cut((*name).to_owned()));
        }
        let GeneralName::IPAddress(bytes) = name else { return None };
        match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(four), _) => Some(std::net::Ipv4Addr::from(four).to_string()),
            (_, Ok(sixteen)) => Some(std::net::Ipv6Addr::from(sixteen).to_string()),
            (Err(_), Err(_)) => None,
        }
    };
    names.value.general_names.iter().filter_map(text).take(MAX_NAMES).collect()
}

fn cut(text: String) -> String {
    let end = (0..=MAX_NAME.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    if end == text.len() { text } else { format!("{}…", text.get(..end).unwrap_or_default()) }
}

/// The short names OpenSSL writes.
const ATTRIBUTES: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

const CURVES: [(&str, &str); 8] = [
    ("1.2.840.10045.3.1.1", "P-192"),
    ("1.3.132.0.33", "P-224"),
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
];

const HASHES: [(&str, &str); 5] = [
    ("1.3.14.3.2.26", "SHA-1"),
    ("2.16.840.1.101.3.4.2.4", "SHA-224"),
    ("2.16.840.1.101.3.4.2.1", "SHA-256"),
    ("2.16.840.1.101.3.4.2.2", "SHA-384"),
    ("2.16.840.1.101.3.4.2.3", "SHA-512"),
];

const SIGNATURES: [(&str, &str); 18] = [
    ("1.2.840.113549.1.1.2", "MD2 with RSA"),
    ("1.2.840.113549.1.1.3", "MD4 with RSA"),
    ("1.2.840.113549.1.1.4", "MD5 with RSA"),
    ("1.2.840.113549.1.1.5", "SHA-1 with RSA"),
    ("1.3.14.3.2.29", "SHA-1 with RSA"),
    ("1.2.840.113549.1.1.14", "SHA-224 with RSA"),
    ("1.2.840.113549.1.1.11", "SHA-256 with RSA"),
    ("1.2.840.113549.1.1.12", "SHA-384 with RSA"),
    ("1.2.840.113549.1.1.13", "SHA-512 with RSA"),
    ("1.2.840.10040.4.3", "SHA-1 with DSA"),
    ("2.16.840.1.101.3.4.3.2", "SHA-256 with DSA"),
    ("1.2.840.10045.4.1", "SHA-1 with ECDSA"),
    ("1.2.840.10045.4.3.1", "SHA-224 with ECDSA"),
    ("1.2.840.10045.4.3.2", "SHA-256 with ECDSA"),
    ("1.2.840.10045.4.3.3", "SHA-384 with ECDSA"),
    ("1.2.840.10045.4.3.4", "SHA-512 with ECDSA"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
];
