//! Every way the collector says no: one type, and the RFC 9457 problem and status each becomes.
//!
//! Says what the caller can do. What went wrong inside is logged here, once, and not told to the caller.

use audit::api::Problem;
use audit::change::NotAllowed;
use audit::seal;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No token, or one that is nobody's.
    #[error("a personal token is needed: Authorization: Bearer …")]
    Unauthenticated,
    /// Somebody, but not somebody who may.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// What was sent is not understood or not allowed.
    #[error("{0}")]
    Invalid(String),
    /// It contradicts what already is.
    #[error("{0}")]
    Conflict(String),
    /// Not what was signed, or not signed by whom it should be.
    #[error("{0}")]
    NotEvidence(#[from] seal::Refusal),
    /// Larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// Too many attempts; seconds to wait.
    #[error("too many failed attempts: wait {0} s")]
    TooMany(u32),
    /// A host sent more than it may: of what, and seconds to wait.
    #[error("this host has sent more {0} than it may: come back in {1} s")]
    OverLimit(&'static str, u32),
    /// Too much at once; the caller should come back.
    #[error("the collector is busy: come back shortly")]
    Busy,
    /// Our own fault.
    #[error("{0:#}")]
    Internal(anyhow::Error),
}

impl Refusal {
    /// Our own fault, in words.
    pub fn internal(what: impl std::fmt::Display) -> Self {
        Self::Internal(anyhow::anyhow!("{what}"))
    }

    /// Its class as a relative reference, its class in words, and its status.
    fn class(&self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::Unauthenticated => ("unauthenticated", "Who is asking?", StatusCode::UNAUTHORIZED),
            Self::Forbidden(_) => ("forbidden", "Not allowed", StatusCode::FORBIDDEN),
            Self::NotFound(_) => ("not-found", "No such thing", StatusCode::NOT_FOUND),
            Self::Invalid(_) => ("invalid", "Not understood", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Conflict(_) => ("conflict", "Contradicts what is", StatusCode::CONFLICT),
            Self::NotEvidence(seal::Refusal::TooLarge(_)) | Self::TooLarge(_) => {
                ("too-large", "Too large", StatusCode::PAYLOAD_TOO_LARGE)
            }
            Self::NotEvidence(seal::Refusal::BadSignature(_)) => {
                ("bad-signature", "Not signed by whom it should be", StatusCode::FORBIDDEN)
            }
            Self::NotEvidence(
                seal::Refusal::NotAnEnvelope(_) | seal::Refusal::OtherType { .. } | seal::Refusal::NotUnderstood(_),
            ) => ("not-evidence", "Not a statement of its kind", StatusCode::UNPROCESSABLE_ENTITY),
            Self::TooMany(_) => ("too-many", "Too many attempts", StatusCode::TOO_MANY_REQUESTS),
            Self::OverLimit(..) => ("over-limit", "More than a host may send", StatusCode::TOO_MANY_REQUESTS),
            Self::Busy => ("busy", "Busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal(_) => ("internal", "The collector failed", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The problem as the caller is told it.
    pub fn problem(&self) -> Problem {
        let (kind, title, status) = self.class();
        let detail = match self {
            Self::Internal(_) => "nothing was changed; the collector's log says more".to_owned(),
            Self::Unauthenticated
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Invalid(_)
            | Self::Conflict(_)
            | Self::NotEvidence(_)
            | Self::TooLarge(_)
            | Self::TooMany(_)
            | Self::OverLimit(..)
            | Self::Busy => self.to_string(),
        };
        Problem { kind: format!("/problems/{kind}"), title: title.to_owned(), status: status.as_u16(), detail }
    }

    fn retry_after(&self) -> Option<u32> {
        match self {
            Self::TooMany(seconds) | Self::OverLimit(_, seconds) => Some(*seconds),
            Self::Busy => Some(2),
            Self::Unauthenticated
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Invalid(_)
            | Self::Conflict(_)
            | Self::NotEvidence(_)
            | Self::TooLarge(_)
            | Self::Internal(_) => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if let Self::Internal(error) = &self {
            tracing::error!(error = format!("{error:#}"), "a request failed inside the collector");
        }
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = (self.class().2, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::Unauthenticated) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy;
        }
        Self::Internal(anyhow::Error::new(error).context("the store"))
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(anyhow::Error::new(error).context("writing or reading back JSON"))
    }
}

impl From<NotAllowed> for Refusal {
    fn from(why: NotAllowed) -> Self {
        match why {
            NotAllowed::OwnRequest(_) | NotAllowed::OwnWork(_) => Self::Forbidden(why.to_string()),
            NotAllowed::Twice(_) => Self::Conflict(why.to_string()),
            NotAllowed::Lacks(_) | NotAllowed::Window(_) | NotAllowed::TooWide => Self::Invalid(why.to_string()),
        }
    }
}
