//! Why an exchange failed, said so that a person knows what to mend: the chain of causes reqwest keeps, read for the
//! cause that matters.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// In words, with the collector's address.
pub(super) fn of(error: &reqwest::Error, base: &str) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut last = error.to_string();
    while let Some(this) = cause {
        if let Some(words) = known(this) {
            return format!("{base}: {words}");
        }
        last = this.to_string();
        cause = this.source();
    }
    if error.is_timeout() {
        return format!("{base}: no answer in time");
    }
    format!("{base}: {last}")
}

fn known(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(of_tls(tls));
    }
    let io = cause.downcast_ref::<io::Error>()?;
    // An io::Error that wraps another error shows its inside as no `source`.
    if let Some(inner) = io.get_ref() {
        return known(inner);
    }
    if io.kind() == io::ErrorKind::ConnectionRefused {
        return Some("the connection was refused: does the collector run, and is this its address and port?".into());
    }
    if matches!(io.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) {
        return Some(
            "the connection was closed: something between here and the collector may not let it through, or the \
             collector asks for a client certificate"
                .into(),
        );
    }
    None
}

fn of_tls(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(certificate) = error {
        return of_certificate(certificate);
    }
    if matches!(error, rustls::Error::InvalidMessage(_)) {
        return "what answers there does not speak TLS: is it plain HTTP, or another port?".into();
    }
    if matches!(error, rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)) {
        return "the other side does not speak TLS 1.3".into();
    }
    format!("TLS failed: {error}")
}

fn of_certificate(error: &CertificateError) -> String {
    // Another authority of the same name shows as a signature that does not hold.
    if matches!(error, CertificateError::UnknownIssuer | CertificateError::BadSignature) {
        return "the collector's certificate is not signed by an authority this host trusts: give its CA with --ca FILE, \
                and be sure nothing stands in between"
            .into();
    }
    if matches!(error, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        return format!("the collector's certificate is for another host name ({error})");
    }
    if matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        return format!("the collector's certificate has expired, or this host's clock is wrong ({error})");
    }
    if matches!(error, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
        return format!("the collector's certificate is not valid yet, or this host's clock is wrong ({error})");
    }
    format!("the collector's certificate is not acceptable: {error}")
}
