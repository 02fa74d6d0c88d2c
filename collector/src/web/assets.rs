//! The stylesheet and the mark: in the binary, served from the collector itself, kept by browsers until they change.

use std::sync::LazyLock;

use audit::digest::Digest;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

const STYLESHEET: &str = include_str!("../../assets/plumbline.css");
const MARK: &str = include_str!("../../assets/mark.svg");

/// An address holds the digest of what is there, so it may be kept for ever and a new version is a new address.
static STYLESHEET_NAME: LazyLock<String> = LazyLock::new(|| named(STYLESHEET, "css"));
static MARK_NAME: LazyLock<String> = LazyLock::new(|| named(MARK, "svg"));
static STYLESHEET_HREF: LazyLock<String> = LazyLock::new(|| format!("/assets/{}", *STYLESHEET_NAME));
static MARK_HREF: LazyLock<String> = LazyLock::new(|| format!("/assets/{}", *MARK_NAME));

fn named(text: &str, extension: &str) -> String {
    format!("{}.{extension}", Digest::of(text.as_bytes()).short())
}

/// Where the stylesheet is.
pub fn stylesheet_href() -> &'static str {
    &STYLESHEET_HREF
}

/// Where the mark is.
pub fn mark_href() -> &'static str {
    &MARK_HREF
}

/// `GET /assets/{name}`
pub async fn get(Path(name): Path<String>) -> Response {
    let (kind, text) = if name == *STYLESHEET_NAME {
        ("text/css; charset=utf-8", STYLESHEET)
    } else if name == *MARK_NAME {
        ("image/svg+xml", MARK)
    } else {
        return (StatusCode::NOT_FOUND, "There is no such asset.\n").into_response();
    };
    let kept = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_asset_fetches_anything_from_anywhere() {
        for text in [STYLESHEET, MARK] {
            assert!(!text.contains("url(") && !text.contains("@import") && !text.contains("<script"));
            assert!(!text.replace("http://www.w3.org/2000/svg", "").contains("//"), "an address of somewhere else");
        }
    }
}
