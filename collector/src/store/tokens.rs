//! Enrolment tokens: one host each, ten minutes, and they decide its environment and roles.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{Conn, micros, named};
use crate::error::Refusal;
use crate::secret::{Hash, Purpose, Secret};

/// Where a host works; decides which changes need a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Patients, customers, money.
    Production,
    /// Mirrors production.
    Staging,
    /// Where things are made.
    Development,
    /// What serves the others.
    Utility,
}

impl Environment {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Production, Self::Staging, Self::Development, Self::Utility];

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Development => "development",
            Self::Utility => "utility",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|environment| environment.name() == text).ok_or_else(|| {
            let hint = audit::yaml::did_you_mean(text, &known).unwrap_or_default();
            format!("`{text}` is not an environment: {hint}")
        })
    }
}

/// What a token gives the host that uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its environment.
    pub environment: Environment,
    /// Its roles.
    pub roles: Vec<String>,
}

/// Makes a token.
pub async fn add(
    db: &mut Conn,
    grant: &Grant,
    by: &str,
    now: DateTime<Utc>,
    expires: DateTime<Utc>,
) -> Result<Secret, Refusal> {
    let token = Secret::new(Purpose::Enrolment)?;
    sqlx::query(
        "INSERT INTO enrolment_tokens (hash, environment, roles, created, created_by, expires)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(token.hash().as_str())
    .bind(grant.environment.name())
    .bind(serde_json::to_string(&grant.roles)?)
    .bind(micros(now))
    .bind(by)
    .bind(micros(expires))
    .execute(db)
    .await?;
    Ok(token)
}

/// Uses the token up, if it is good: of any number who try at once, one gets the grant.
pub async fn take(db: &mut Conn, presented: &str, now: DateTime<Utc>) -> Result<Option<Grant>, Refusal> {
    let row = sqlx::query(
        "UPDATE enrolment_tokens SET used = $1 WHERE hash = $2 AND used IS NULL AND expires > $1
         RETURNING environment, roles",
    )
    .bind(micros(now))
    .bind(Hash::of(presented).as_str())
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Grant {
        environment: named(row.try_get("environment")?)?,
        roles: serde_json::from_str(row.try_get("roles")?)?,
    }))
}

/// Writes down which host the token went to.
pub async fn used_by(db: &mut Conn, presented: &str, host: &str) -> Result<(), Refusal> {
    sqlx::query("UPDATE enrolment_tokens SET host = $1 WHERE hash = $2")
        .bind(host)
        .bind(Hash::of(presented).as_str())
        .execute(db)
        .await?;
    Ok(())
}

/// The host a used token went to: a host whose answer was lost on the way asks again with the same key.
pub async fn host_of(db: &mut Conn, presented: &str) -> Result<Option<String>, Refusal> {
    let row = sqlx::query("SELECT host FROM enrolment_tokens WHERE hash = $1")
        .bind(Hash::of(presented).as_str())
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| row.try_get("host")).transpose()?.flatten())
}

#[cfg(test)]
mod tests {
    use super::super::accounts;
    use super::super::testing::{at, store};
    use super::*;

    #[tokio::test]
    async fn a_token_is_good_once_and_until_it_expires() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        accounts::add(&mut db, "otto", &Default::default(), at(0)).await.unwrap();
        let grant = Grant { environment: Environment::Staging, roles: vec!["web".into()] };
        let token = add(&mut db, &grant, "otto", at(0), at(10)).await.unwrap();
        assert_eq!(take(&mut db, token.reveal(), at(10)).await.unwrap(), None);
        assert_eq!(take(&mut db, token.reveal(), at(9)).await.unwrap(), Some(grant));
        assert_eq!(take(&mut db, token.reveal(), at(9)).await.unwrap(), None);
        assert_eq!(take(&mut db, "ple_other", at(9)).await.unwrap(), None);
        assert!(sqlx::query("UPDATE enrolment_tokens SET used = NULL").execute(&mut *db).await.is_err());
    }
}
