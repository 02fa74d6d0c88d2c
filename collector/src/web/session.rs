//! Who looks at the pages: the session's cookie, and the token every form must send along.
//!
//! A session's secret is only in the browser's cookie; the store holds its hash. The form token is derived from it, so
//! that no other site can send a form in somebody's name. Before there is a session a second, random cookie plays its
//! part (the "double submit" pattern), so that nobody can be signed in as somebody else from afar.

use audit::digest::Digest;
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, COOKIE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::frame::Visitor;
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::sessions;

/// The longest a form's token may be and still be looked at.
const MAX_TOKEN: usize = 200;
/// The longest address one is brought back to after signing in.
const MAX_NEXT: usize = 2000;

/// Somebody signed in.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who.
    pub visitor: Visitor,
    /// The cookie's text.
    pub secret: String,
}

impl Session {
    /// The session of a request, if it has one that has not ended.
    pub async fn find(app: &App, headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let Some(secret) = cookie(headers, session_cookie(app)) else { return Ok(None) };
        let mut db = app.store.read().await?;
        let account = sessions::account(&mut db, secret, now()).await?;
        Ok(account.map(|account| Self {
            visitor: Visitor { name: account.name, csrf: form_token(secret) },
            secret: secret.to_owned(),
        }))
    }

    /// Refuses a form that was not made for this session.
    pub fn check(&self, presented: &str) -> Result<(), Refusal> {
        same(presented, &self.visitor.csrf)
    }
}

impl FromRequestParts<App> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match Self::find(app, &parts.headers).await {
            Ok(Some(session)) => Ok(session),
            Ok(None) if wants_a_page(&parts.headers) => Err(to_sign_in(&parts.method, &parts.uri)),
            Ok(None) => Err(Refusal::Unauthenticated.into_response()),
            Err(refusal) => Err(super::answer::trouble(None, &refusal)),
        }
    }
}

/// The form token of a session: another value for every session, and no way back to the session.
fn form_token(secret: &str) -> String {
    Digest::of(format!("plumbline form token of {secret}").as_bytes()).to_string()
}

/// Refuses a form token that is not `expected`, compared in constant time.
pub fn same(presented: &str, expected: &str) -> Result<(), Refusal> {
    let fits = presented.len() <= MAX_TOKEN && !expected.is_empty();
    if fits && bool::from(presented.as_bytes().ct_eq(expected.as_bytes())) {
        return Ok(());
    }
    Err(Refusal::Forbidden("this form is no longer good: go back, load the page again, and send it again".into()))
}

/// The token for forms that come before any session: the browser's own where it has one, else a new one.
pub fn early_token(app: &App, headers: &HeaderMap) -> Result<String, Refusal> {
    if let Some(token) = cookie(headers, early_cookie(app))
        && token.len() == 32
        && token.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Ok(token.to_owned());
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Refusal::internal(format!("the kernel gave no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Refuses a form before any session whose token is not the browser's.
pub fn check_early(app: &App, headers: &HeaderMap, presented: &str) -> Result<(), Refusal> {
    same(presented, cookie(headers, early_cookie(app)).unwrap_or_default())
}

/// The `Set-Cookie` that keeps an early token.
pub fn keep_early(app: &App, token: &str) -> String {
    format!("{}={token}; Path=/; HttpOnly; SameSite=Strict{}", early_cookie(app), secure(app))
}

/// The `Set-Cookie` that keeps a session. Lax, so that a link from a message opens the page it names.
pub fn keep(app: &App, secret: &str) -> String {
    let seconds = sessions::SESSION_LASTS.num_seconds();
    format!("{}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{}", session_cookie(app), secure(app))
}

/// The `Set-Cookie` that forgets it.
pub fn forget(app: &App) -> String {
    format!("{}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{}", session_cookie(app), secure(app))
}

/// Where to go after signing in: an address on this collector and nowhere else.
pub fn local(next: &str) -> &str {
    let mut characters = next.chars();
    let here = characters.next() == Some('/') && !matches!(characters.next(), Some('/' | '\\'));
    let plain = next.len() <= MAX_NEXT && next.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if here && plain { next } else { "/" }
}

fn is_tls(app: &App) -> bool {
    app.public_url.starts_with("https://")
}

/// Browsers accept the `__Host-` prefix only with Secure, Path=/ and no Domain: no other host can set such a cookie.
fn session_cookie(app: &App) -> &'static str {
    if is_tls(app) { "__Host-plumbline" } else { "plumbline" }
}

fn early_cookie(app: &App) -> &'static str {
    if is_tls(app) { "__Host-plumbline-form" } else { "plumbline-form" }
}

fn secure(app: &App) -> &'static str {
    if is_tls(app) { "; Secure" } else { "" }
}

/// The value of the first cookie of that name; RFC 6265 section 5.4 says how they are sent.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs =
        headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Whether a person with a browser is asking.
pub fn wants_a_page(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|header| header.to_str().ok()).any(|accept| accept.contains("text/html"))
}

fn to_sign_in(method: &Method, uri: &Uri) -> Response {
    let asked = uri.path_and_query().map_or("/", |path| path.as_str());
    let next = local(asked);
    let to = match *method == Method::GET && next != "/" {
        true => format!("/sign-in?next={}", percent_encoded(next)),
        false => "/sign-in".to_owned(),
    };
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
pub fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut done, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => done.push(char::from(byte)),
            other => done.push_str(&format!("%{other:02X}")),
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_brought_back_to_this_collector_only() {
        for good in ["/", "/drift?verdict=open&host=a%20b", "/hosts/abc"] {
            assert_eq!(local(good), good);
        }
        for bad in ["", "//evil", "/\\evil", "https://evil", "evil", "/a\r\nSet-Cookie: x", "/a b", "/\t/evil", "/a\\b"]
        {
            assert_eq!(local(bad), "/", "{bad:?}");
        }
    }

    #[test]
    fn a_form_token_is_of_one_session_and_never_empty() {
        assert_ne!(form_token("pls_a"), form_token("pls_b"));
        assert!(same(&form_token("pls_a"), &form_token("pls_a")).is_ok());
        assert!(same(&form_token("pls_a"), &form_token("pls_b")).is_err());
        assert!(same("", "").is_err(), "no cookie and no field is not the same as both");
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "a=1; plumbline=pls_x; b".parse().unwrap());
        assert_eq!(cookie(&headers, "plumbline"), Some("pls_x"));
        assert_eq!(cookie(&headers, "plumb"), None);
    }

    #[test]
    fn an_address_survives_encoding() {
        assert_eq!(percent_encoded("/drift?a=b&c=ü"), "%2Fdrift%3Fa%3Db%26c%3D%C3%BC");
    }
}
