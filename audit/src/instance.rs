//! Which cloud instance a host is: what Amazon EC2's instance identity document says, and whether to ask for one.
//!
//! Sources: "Instance identity documents for Amazon EC2 instances" and "Detect whether a host is an EC2 instance" in the EC2 user
//! guide. The agent fetches the document while it enrols; here it is only read. The signature is kept beside the document's own
//! bytes, as given: whoever holds Amazon's certificate of the region can verify it later; neither agent nor collector does, so
//! what the document says is the host's word, like its name. Everything else a document holds (addresses, zones) is left in it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::{Host, read_small};

/// The largest document, in bytes; real ones have about 500.
pub const MAX_DOCUMENT: usize = 4096;
/// The largest signature, in bytes; those of 2048 bits have about 1,800 in base64.
pub const MAX_SIGNATURE: usize = 8192;
/// The longest of the names in a document, in bytes.
const LONGEST: usize = 64;

/// What an instance was given to show who it is, as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The identity document, the bytes that are signed.
    pub document: String,
    /// Its PKCS #7 signature by the region's 2048-bit key, in base64 over several lines, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Who an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// The account it belongs to: 12 digits.
    pub account: String,
    /// Such as `eu-central-1`.
    pub region: String,
    /// `ami-…`: what it was started from.
    pub image: String,
}

impl Evidence {
    /// What was given, if it is within bounds and says who the instance is; otherwise why not.
    pub fn new(document: Vec<u8>, signature: Option<Vec<u8>>) -> Result<Self, String> {
        let document = String::from_utf8(document).map_err(|_| "the identity document is not UTF-8".to_owned())?;
        let signature = signature.map(String::from_utf8).transpose();
        let signature = signature.map_err(|_| "the signature is not UTF-8".to_owned())?;
        let evidence = Self { document, signature };
        evidence.instance()?;
        Ok(evidence)
    }

    /// Who the instance is, by its document; otherwise why that cannot be said.
    pub fn instance(&self) -> Result<Instance, String> {
        /// The parts of the document that are used.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            instance_id: String,
            account_id: String,
            region: String,
            image_id: String,
        }
        if self.document.len() > MAX_DOCUMENT {
            return Err(format!("the identity document has more than {MAX_DOCUMENT} bytes"));
        }
        let said: Document = serde_json::from_str(&self.document)
            .map_err(|_| "the identity document does not say who the instance is".to_owned())?;
        let is_name = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
        };
        let names = [&said.instance_id, &said.account_id, &said.region, &said.image_id];
        if !names.iter().all(|name| is_name(name)) {
            return Err("the identity document holds names that are none".into());
        }
        let signature = self.signature.as_deref().unwrap_or_default();
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(&byte);
        if signature.len() > MAX_SIGNATURE || !signature.bytes().all(is_base64) {
            return Err(format!("the signature is not base64 of at most {MAX_SIGNATURE} bytes"));
        }
        let Document { instance_id: id, account_id: account, region, image_id: image } = said;
        Ok(Instance { id, account, region, image })
    }
}

/// Whether the firmware calls itself Amazon EC2's: only then is the metadata service asked. On Nitro the vendor says so, on
/// Xen the hypervisor's UUID begins with `ec2`.
pub fn is_likely(host: &dyn Host) -> bool {
    let text = |path: &str| {
        let bytes = read_small(host, Path::new(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    ["sys_vendor", "board_vendor"].iter().any(|name| text(&format!("/sys/class/dmi/id/{name}")) == "Amazon EC2")
        || text("/sys/hypervisor/uuid").to_ascii_lowercase().starts_with("ec2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    const DOCUMENT: &str = r#"{"accountId":"123456789012","architecture":"x86_64","availabilityZone":"eu-central-1a",
        "imageId":"ami-0abcdef1234567890","instanceId":"i-1234567890abcdef0","marketplaceProductCodes":null,"region":"eu-central-1"}"#;

    fn given(document: &str, signature: Option<&str>) -> Result<Instance, String> {
        Evidence::new(document.into(), signature.map(Into::into))?.instance()
    }

    #[test]
    fn a_document_says_who_the_instance_is() {
        let instance = given(DOCUMENT, Some("MIAGCSqGSIb3\nDQ==")).unwrap();
        let Instance { id, account, region, image } = &instance;
        assert_eq!(
            [id, account, region, image],
            ["i-1234567890abcdef0", "123456789012", "eu-central-1", "ami-0abcdef1234567890"]
        );
    }

    #[test]
    fn what_is_too_large_or_says_nothing_is_refused() {
        let large = DOCUMENT.replace("null", &"1".repeat(MAX_DOCUMENT));
        let hostile = DOCUMENT.replace("eu-central-1\"", "eu\\u001b[2J\"");
        let empty = DOCUMENT.replace("123456789012", "");
        for document in ["", "{}", "[1]", "<html>", &large, &hostile, &empty] {
            assert!(given(document, None).is_err(), "{document}");
        }
        for signature in ["<html>".to_owned(), "A".repeat(MAX_SIGNATURE + 1)] {
            assert!(given(DOCUMENT, Some(&signature)).is_err());
        }
        assert!(Evidence::new(vec![0xff], None).is_err());
    }

    #[test]
    fn only_firmware_of_ec2_is_likely_to_have_an_identity() {
        let vendor = |name: &str| Recorded::new().file("/sys/class/dmi/id/sys_vendor", name);
        assert!(is_likely(&vendor("Amazon EC2\n")));
        assert!(is_likely(&Recorded::new().file("/sys/class/dmi/id/board_vendor", "Amazon EC2\n")));
        assert!(is_likely(&Recorded::new().file("/sys/hypervisor/uuid", "EC2e1916-9099-7caf-fd21-012345abcdef\n")));
        for host in [vendor("QEMU\n"), vendor("Amazon EC2 lookalike"), Recorded::new()] {
            assert!(!is_likely(&host));
        }
    }
}
