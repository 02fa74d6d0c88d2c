//! What cloud instances showed for who they are, as it was given when they enrolled. Who they are by it stands in `hosts`.

use audit::instance::Evidence;
use audit::report::HostId;
use sqlx::Row as _;

use super::Conn;
use crate::error::Refusal;

/// Keeps what a host showed; once.
pub async fn add(db: &mut Conn, host: &HostId, evidence: &Evidence) -> Result<(), Refusal> {
    sqlx::query("INSERT INTO instances (host, document, signature) VALUES ($1, $2, $3)")
        .bind(host.as_str())
        .bind(&evidence.document)
        .bind(evidence.signature.as_deref())
        .execute(db)
        .await?;
    Ok(())
}

/// What a host showed, if it is an instance that did.
pub async fn find(db: &mut Conn, host: &HostId) -> Result<Option<Evidence>, Refusal> {
    let row = sqlx::query("SELECT document, signature FROM instances WHERE host = $1")
        .bind(host.as_str())
        .fetch_optional(db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Evidence { document: row.try_get("document")?, signature: row.try_get("signature")? }))
}

#[cfg(test)]
mod tests {
    use super::super::hosts::testing::newcomer;
    use super::super::testing::store;
    use super::*;

    #[tokio::test]
    async fn what_an_instance_showed_is_kept_once_and_as_it_was() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let host = newcomer(&mut db, "web-1", 'a').await;
        assert_eq!(find(&mut db, &host).await.unwrap(), None);
        let evidence = Evidence { document: "{ \"x\" : 1 }\n".into(), signature: Some("MIAG\nCSq=\n".into()) };
        add(&mut db, &host, &evidence).await.unwrap();
        assert_eq!(find(&mut db, &host).await.unwrap(), Some(evidence.clone()));
        assert!(add(&mut db, &host, &evidence).await.is_err());
        assert!(sqlx::query("UPDATE instances SET signature = NULL").execute(&mut *db).await.is_err());
        assert!(sqlx::query("DELETE FROM instances").execute(&mut *db).await.is_err());
    }
}
