//! One HTTP request at a time, from tests that are not asynchronous.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::Runtime;

/// The runtime every piece of the harness shares.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // Whoever comes first installs it; a second attempt is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().unwrap()
});

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The media type, empty if none was given.
    pub media: String,
    /// `Retry-After`, if given.
    pub retry_after: Option<String>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text()))
    }
}

/// Sends one request; an error is one of the connection.
pub async fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer, reqwest::Error> {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request =
        headers.iter().fold(CLIENT.request(method, url), |request, (name, value)| request.header(*name, *value));
    let response = request.body(body).send().await?;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (status, media, retry_after) =
        (response.status().as_u16(), header("content-type").unwrap_or_default(), header("retry-after"));
    Ok(Answer { status, body: response.bytes().await?.to_vec(), media, retry_after })
}

/// Sends one request and waits.
#[track_caller]
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    RUNTIME
        .block_on(send(method, url, headers, body.into()))
        .unwrap_or_else(|error| panic!("{method} {url}: {error:?}"))
}

/// A plain GET.
#[track_caller]
pub fn get(url: &str) -> Answer {
    request("GET", url, &[], Vec::new())
}
