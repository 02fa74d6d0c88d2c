//! Who is trusted: real TLS servers on loopback, each with one thing wrong, and what the agent says of it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::*;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        Self::called("one")
    }

    fn called(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Starts a server for one connection, with a certificate for `name` that ends in the year `until`.
    fn serve(&self, name: &str, until: i32) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let _already = rustls::crypto::ring::default_provider().install_default();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut tls = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = rustls::Stream::new(&mut tls, &mut stream);
            let mut request = [0; 4096];
            if matches!(stream.read(&mut request), Ok(1..)) {
                let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            }
        });
        url
    }
}

async fn said(url: &str, ca: &str) -> Result<Vec<u8>, String> {
    let client = Client::new(url, Some(ca)).unwrap();
    client.post("/v1/reports", b"{}".to_vec()).await.map_err(|trouble| trouble.to_string())
}

#[tokio::test]
async fn a_collector_with_a_certificate_of_the_given_authority_is_trusted() {
    let authority = Authority::new();
    assert_eq!(said(&authority.serve("localhost", 2999), &authority.pem).await.unwrap(), b"ok");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_and_said() {
    for name in ["one", "another"] {
        let url = Authority::new().serve("localhost", 2999);
        let error = said(&url, &Authority::called(name).pem).await.unwrap_err();
        assert!(error.contains("not signed by an authority this host trusts"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_and_said() {
    let authority = Authority::new();
    let error = said(&authority.serve("other.example", 2999), &authority.pem).await.unwrap_err();
    assert!(error.contains("another host name") && error.contains("localhost"), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_said() {
    let authority = Authority::new();
    let error = said(&authority.serve("localhost", 2021), &authority.pem).await.unwrap_err();
    assert!(error.contains("has expired, or this host's clock is wrong"), "{error}");
}

#[tokio::test]
async fn plain_http_where_tls_is_due_is_said() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let error = said(&url, &Authority::new().pem).await.unwrap_err();
    assert!(error.contains("does not speak TLS"), "{error}");
}

#[test]
fn what_is_no_certificate_is_refused_before_anything_is_sent() {
    for pem in ["", "not pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        assert!(Client::new("https://localhost", Some(pem)).is_err(), "{pem}");
    }
}
