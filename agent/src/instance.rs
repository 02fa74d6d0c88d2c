//! The EC2 instance identity, asked of the instance metadata service while the host enrols, and at no other time.
//!
//! Version 2 of the service alone (IMDSv2): `PUT /latest/api/token` for a token that lasts a minute, then the identity document
//! and its signature with that token; see "Use the Instance Metadata Service" in the EC2 user guide. Asked only where the
//! firmware calls itself EC2's. The service is link-local, so the network it is asked over is the host's own: no proxy is used,
//! no redirect followed, every answer is bounded and so is the time for all of them. Whatever goes wrong, the host enrols all the
//! same and the reason is told. Nothing is verified here; see [`audit::instance`].

use std::time::Duration;

use anyhow::{Context as _, bail};
use audit::host::Host;
use audit::instance::{Evidence, MAX_DOCUMENT, MAX_SIGNATURE, is_likely};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{RequestBuilder, StatusCode, Url};

/// Where every instance finds its metadata.
pub(crate) const SERVICE: &str = "http://169.254.169.254";
/// How long a connection may take: the service is next door, or not there at all.
const CONNECT: Duration = Duration::from_secs(1);
/// How long everything may take.
const ALL: Duration = Duration::from_secs(5);
/// The largest token, in bytes; real ones have 56.
const MAX_TOKEN: usize = 1024;
const LIFETIME: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// What the service at `address` says of this host; `None` where the host does not look like an instance.
pub(crate) fn ask(host: &dyn Host, address: &Url) -> Option<anyhow::Result<Evidence>> {
    is_likely(host).then(|| {
        crate::cli::block_on(async {
            let asked = tokio::time::timeout(ALL, fetch(address)).await;
            asked.unwrap_or_else(|_| bail!("no answer within {} seconds", ALL.as_secs()))
        })?
    })
}

/// The address of a metadata service: link-local as EC2's own, or loopback for a stand-in.
pub(crate) fn service(text: &str) -> Result<Url, String> {
    let refuse = || format!("`{text}` is no metadata service: plain HTTP to a link-local or loopback address");
    let url = Url::parse(text).map_err(|_| refuse())?;
    let bare = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let near = match bare.parse() {
        Ok(std::net::IpAddr::V4(address)) => address.is_link_local() || address.is_loopback(),
        // Amazon's own address is a unique local one: fd00:ec2::254.
        Ok(std::net::IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        Err(_) => false,
    };
    if url.scheme() != "http" || !near || url.path() != "/" || !url.username().is_empty() {
        Err(refuse())
    } else {
        Ok(url)
    }
}

async fn fetch(address: &Url) -> anyhow::Result<Evidence> {
    // Plain HTTP asks for no certificate: none is looked for.
    let tls = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .build()
        .context("preparing the HTTP client")?;
    let at = |path: &str| address.join(path);
    let lifetime = http.put(at("/latest/api/token")?).header(LIFETIME, "60");
    let token = answer(lifetime, MAX_TOKEN).await.context("asking for a token")?;
    let mut token = HeaderValue::from_bytes(&token).ok().context("asking for a token: what came is none")?;
    token.set_sensitive(true);
    let get = async |what: &str, most: usize| {
        let path = at(&format!("/latest/dynamic/instance-identity/{what}"))?;
        answer(http.get(path).header(TOKEN, token.clone()), most).await
    };
    let document = get("document", MAX_DOCUMENT).await.context("asking for the identity document")?;
    // Without its signature the document is still the host's word.
    let signature = get("rsa2048", MAX_SIGNATURE).await.ok();
    Evidence::new(document, signature).map_err(anyhow::Error::msg)
}

/// The body of an answer that is `200`, at most `most` bytes.
async fn answer(request: RequestBuilder, most: usize) -> anyhow::Result<Vec<u8>> {
    let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
    if answer.status() != StatusCode::OK {
        bail!("it answered {}", answer.status());
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > most {
            bail!("it answered with more than {most} bytes");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metadata_service_is_link_local_or_loopback_and_nothing_else() {
        for good in [SERVICE, "http://127.0.0.1:4000", "http://[fd00:ec2::254]", "http://[::1]:80/"] {
            assert!(service(good).is_ok(), "{good}");
        }
        for bad in [
            "https://169.254.169.254",
            "http://10.0.0.1",
            "http://metadata.example",
            "http://169.254.169.254/latest",
            "http://user@169.254.169.254",
            "http://[2001:db8::1]",
            "nothing",
        ] {
            assert!(service(bad).is_err(), "{bad}");
        }
    }
}
