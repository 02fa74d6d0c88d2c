//! Signing in to the pages: a one-time link, asked for with a personal token, becomes a browser's session.

use chrono::{DateTime, Duration, Utc};
use sqlx::Row as _;

use super::accounts::{self, Account};
use super::{Conn, micros};
use crate::error::Refusal;
use crate::secret::{Hash, Purpose, Secret};

/// How long a sign-in link is good for.
pub const LINK_LASTS: Duration = Duration::minutes(10);
/// How long a session lasts.
pub const SESSION_LASTS: Duration = Duration::hours(12);

/// Makes a one-time link for `account`; the page's address ends in its text.
pub async fn add_link(db: &mut Conn, account: &str, now: DateTime<Utc>) -> Result<Secret, Refusal> {
    let link = Secret::new(Purpose::Link)?;
    sqlx::query("INSERT INTO login_links (hash, account, expires) VALUES ($1, $2, $3)")
        .bind(link.hash().as_str())
        .bind(account)
        .bind(micros(now + LINK_LASTS))
        .execute(db)
        .await?;
    Ok(link)
}

/// Uses a link up and opens a session: the secret for the browser's cookie, and whose it is.
pub async fn enter(db: &mut Conn, presented: &str, now: DateTime<Utc>) -> Result<Option<(Secret, Account)>, Refusal> {
    let used = sqlx::query(
        "UPDATE login_links SET used = $1 WHERE hash = $2 AND used IS NULL AND expires > $1 RETURNING account",
    )
    .bind(micros(now))
    .bind(Hash::of(presented).as_str())
    .fetch_optional(&mut *db)
    .await?;
    let Some(row) = used else { return Ok(None) };
    let name: String = row.try_get("account")?;
    let Some(account) = accounts::find(db, &name).await? else { return Ok(None) };
    let session = Secret::new(Purpose::Session)?;
    sqlx::query("INSERT INTO sessions (hash, account, created, expires) VALUES ($1, $2, $3, $4)")
        .bind(session.hash().as_str())
        .bind(&name)
        .bind(micros(now))
        .bind(micros(now + SESSION_LASTS))
        .execute(&mut *db)
        .await?;
    Ok(Some((session, account)))
}

/// Whose session that is, if it has not ended.
pub async fn account(db: &mut Conn, presented: &str, now: DateTime<Utc>) -> Result<Option<Account>, Refusal> {
    let hash = Hash::of(presented);
    let row = sqlx::query("SELECT hash, account FROM sessions WHERE hash = $1 AND expires > $2")
        .bind(hash.as_str())
        .bind(micros(now))
        .fetch_optional(&mut *db)
        .await?;
    match row {
        Some(row) if hash.is(row.try_get("hash")?) => accounts::find(db, row.try_get("account")?).await,
        Some(_) | None => Ok(None),
    }
}

/// Ends a session.
pub async fn end(db: &mut Conn, presented: &str) -> Result<(), Refusal> {
    sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(Hash::of(presented).as_str()).execute(db).await?;
    Ok(())
}

/// Forgets links and sessions that are over.
pub async fn sweep(db: &mut Conn, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("DELETE FROM sessions WHERE expires <= $1").bind(micros(now)).execute(&mut *db).await?;
    sqlx::query("DELETE FROM login_links WHERE expires <= $1").bind(micros(now)).execute(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, store};
    use super::*;

    #[tokio::test]
    async fn a_link_opens_one_session_which_ends() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        accounts::add(&mut db, "ava", &Default::default(), at(0)).await.unwrap();
        let link = add_link(&mut db, "ava", at(0)).await.unwrap();
        assert!(enter(&mut db, link.reveal(), at(11)).await.unwrap().is_none());
        let (session, who) = enter(&mut db, link.reveal(), at(1)).await.unwrap().unwrap();
        assert_eq!(who.name, "ava");
        assert!(enter(&mut db, link.reveal(), at(1)).await.unwrap().is_none());
        assert_eq!(account(&mut db, session.reveal(), at(2)).await.unwrap(), Some(who));
        assert_eq!(account(&mut db, session.reveal(), at(13 * 60)).await.unwrap(), None);
        end(&mut db, session.reveal()).await.unwrap();
        assert_eq!(account(&mut db, session.reveal(), at(2)).await.unwrap(), None);
    }
}
