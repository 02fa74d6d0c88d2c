//! Facts, manifests and the agents' findings: by digest, compressed as they were sent, shared between hosts.
//! And which digests a manifest needs, taken from it when it came.

use audit::digest::Digest;
use audit::report::Manifest;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::{Conn, digest, micros, unsigned};
use crate::error::Refusal;

/// Keeps a body whose digest was checked; one that is here already is left as it is.
pub async fn add(db: &mut Conn, digest: Digest, size: usize, body: &[u8], now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("INSERT INTO facts (digest, size, stored, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(digest.to_string())
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .bind(micros(now))
        .bind(body)
        .execute(db)
        .await?;
    Ok(())
}

/// Writes down what a manifest needs, when it is kept.
pub async fn add_needs(db: &mut Conn, id: Digest, manifest: &Manifest) -> Result<(), Refusal> {
    for need in manifest.needs() {
        sqlx::query("INSERT INTO manifest_needs (manifest, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(id.to_string())
            .bind(need.to_string())
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

/// A body as it was sent, compressed.
pub async fn body(db: &mut Conn, digest: Digest) -> Result<Option<Vec<u8>>, Refusal> {
    let row =
        sqlx::query("SELECT body FROM facts WHERE digest = $1").bind(digest.to_string()).fetch_optional(db).await?;
    Ok(row.map(|row| row.try_get("body")).transpose()?)
}

/// How large a body is when inflated, in bytes; 0 where it is not here.
pub async fn size(db: &mut Conn, digest: Digest) -> Result<u64, Refusal> {
    let row =
        sqlx::query("SELECT size FROM facts WHERE digest = $1").bind(digest.to_string()).fetch_optional(db).await?;
    Ok(unsigned(row.map(|row| row.try_get("size")).transpose()?.unwrap_or(0)))
}

/// Whether a body is here.
pub async fn has(db: &mut Conn, digest: Digest) -> Result<bool, Refusal> {
    let row = sqlx::query("SELECT 1 FROM facts WHERE digest = $1").bind(digest.to_string()).fetch_optional(db).await?;
    Ok(row.is_some())
}

/// Whether a kept manifest names a digest.
pub async fn names(db: &mut Conn, manifest: Digest, digest: Digest) -> Result<bool, Refusal> {
    let row = sqlx::query("SELECT 1 FROM manifest_needs WHERE manifest = $1 AND digest = $2")
        .bind(manifest.to_string())
        .bind(digest.to_string())
        .fetch_optional(db)
        .await?;
    Ok(row.is_some())
}

/// Whether a body is here and was understood as a manifest: each needs at least its findings. The same bytes may have come
/// before as some other host's facts, when nobody looked for what they need.
pub async fn is_manifest(db: &mut Conn, digest: Digest) -> Result<bool, Refusal> {
    let row = sqlx::query("SELECT 1 FROM manifest_needs WHERE manifest = $1 LIMIT 1")
        .bind(digest.to_string())
        .fetch_optional(db)
        .await?;
    Ok(row.is_some())
}

/// What is lacking of a report with this manifest: the manifest itself, or else what it needs and is not here.
pub async fn lacks(db: &mut Conn, manifest: Digest) -> Result<Vec<Digest>, Refusal> {
    if !is_manifest(db, manifest).await? {
        return Ok(vec![manifest]);
    }
    let rows = sqlx::query(
        "SELECT digest FROM manifest_needs AS need WHERE manifest = $1
         AND NOT EXISTS (SELECT 1 FROM facts WHERE digest = need.digest) ORDER BY digest",
    )
    .bind(manifest.to_string())
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| digest(row.try_get("digest")?)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, store};
    use super::*;
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn what_a_manifest_needs_is_lacking_until_it_came_also_if_its_bytes_came_before_as_facts() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let [baseline, lifecycles, findings] = [b"b", b"l", b"f"].map(|bytes| Digest::of(bytes));
        let manifest =
            Manifest { agent: "0".into(), baseline, lifecycles, findings, interval: None, probes: BTreeMap::new() };
        let id = Digest::of(b"manifest");
        add(&mut db, id, 8, b"manifest", at(0)).await.unwrap();
        assert_eq!(lacks(&mut db, id).await.unwrap(), [id]);
        add_needs(&mut db, id, &manifest).await.unwrap();
        assert_eq!(lacks(&mut db, id).await.unwrap(), [findings]);
        add(&mut db, findings, 1, b"f", at(0)).await.unwrap();
        assert!(lacks(&mut db, id).await.unwrap().is_empty());
        assert!(names(&mut db, id, findings).await.unwrap() && !names(&mut db, id, baseline).await.unwrap());
        assert!(sqlx::query("UPDATE facts SET body = x'00'").execute(&mut *db).await.is_err());
    }
}
