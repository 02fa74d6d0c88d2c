//! Calls to a collector: TLS always, but for plain HTTP on loopback; no redirects; refusals in the collector's words.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use audit::api::Problem;
use reqwest::{Client, Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Connection, Failure};
use crate::config::is_loopback;
use crate::files;
use crate::http::page::Page;

/// A collector, and who asks it.
pub(super) struct Collector {
    http: Client,
    base: Url,
    token: String,
}

impl Collector {
    /// Prepares calls; makes none yet.
    pub(super) fn new(connection: &Connection) -> Result<Self, Failure> {
        let base = Url::parse(&connection.collector)
            .map_err(|error| Failure::Usage(anyhow!("--collector {}: {error}", connection.collector)))?;
        let loopback = is_loopback(&base);
        if base.scheme() != "https" && !(base.scheme() == "http" && loopback) {
            let message =
                "--collector: https is due (http only on loopback): a personal token would be readable on the way";
            return Err(Failure::Usage(anyhow!(message)));
        }
        let mut http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60));
        if loopback {
            http = http.no_proxy();
        }
        if let Some(file) = &connection.ca {
            let pem = files::read(file).with_context(|| format!("reading {}", file.display()));
            let certificates = reqwest::Certificate::from_pem_bundle(&pem.map_err(Failure::Usage)?)
                .map_err(|error| Failure::Usage(anyhow!("{}: {error}", file.display())))?;
            http = http.tls_certs_only(certificates);
        }
        Ok(Self { http: http.build()?, base, token: token(connection).map_err(Failure::Usage)? })
    }

    /// Asks for something.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<T> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.call(Method::GET, url, None::<&()>).await
    }

    /// Asks for all of a list, page by page.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Vec<T>> {
        let mut items = Vec::new();
        let mut query = query.to_vec();
        loop {
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            let Some(next) = page.next else { return Ok(items) };
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", next));
        }
    }

    /// Asks for something to be done.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.call(Method::POST, self.url(path)?, Some(body)).await
    }

    fn url(&self, path: &str) -> anyhow::Result<Url> {
        self.base.join(path).with_context(|| format!("the address of {path}"))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<T> {
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response =
            request.send().await.with_context(|| format!("no answer from the collector at {}", self.base))?;
        let status = response.status();
        let body = response.bytes().await.context("the collector's answer broke off")?;
        if status.is_success() {
            return serde_json::from_slice(&body).context("the collector's answer was not understood");
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => bail!("{}: {}", problem.title, problem.detail),
            Err(_) => bail!("{} answers {status}; is that a collector?", self.base),
        }
    }
}

/// A path with one part that came from a person, its special characters kept from meaning anything.
pub(super) fn path(before: &str, part: &str, after: &str) -> String {
    let escaped: String = part
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
            b'.' if part != "." && part != ".." => ".".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("{before}{escaped}{after}")
}

fn token(connection: &Connection) -> anyhow::Result<String> {
    let token = match &connection.token_file {
        Some(file) => files::text(file).with_context(|| format!("reading {}", file.display()))?,
        None => std::env::var("PLUMBLINE_TOKEN")
            .map_err(|_| anyhow!("whose token? Set PLUMBLINE_TOKEN or give --token-file"))?,
    };
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("the personal token is empty or not a token");
    }
    Ok(token.to_owned())
}
