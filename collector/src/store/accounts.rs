//! Accounts: who there is, what they may do, and the hash of each one's personal token.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use audit::change::Person;
use audit::digest::Digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{Conn, Row, instant, micros, named};
use crate::error::Refusal;
use crate::secret::{Hash, Purpose, Secret};

/// What an account may do. Everybody with an account may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Asks for changes.
    Requester,
    /// Approves changes that somebody else asked for.
    Approver,
    /// Enrols and inspects hosts.
    Operator,
    /// May do all of that (never approve their own), and makes accounts.
    Administrator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Requester, Self::Approver, Self::Operator, Self::Administrator];

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Requester => "requester",
            Self::Approver => "approver",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            let hint = audit::yaml::did_you_mean(text, &known).unwrap_or_default();
            format!("`{text}` is not a role: {hint}")
        })
    }
}

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The name, which is the identity: never changed, never reused.
    pub name: String,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// Since when.
    pub created: DateTime<Utc>,
}

impl Account {
    /// Who it is, for segregation of duties.
    pub fn person(&self) -> Person {
        Person(self.name.clone())
    }

    /// Whether they may do what `role` does.
    pub fn may(&self, role: Role) -> bool {
        role == Role::Viewer || self.roles.contains(&role) || self.roles.contains(&Role::Administrator)
    }
}

/// What a new account's name must be: one spelling each, so that no two names look like one person.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let rest = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if first && rest && name.len() <= 64 && name != "collector" {
        return Ok(());
    }
    Err(Refusal::Invalid(
        "an account's name is 1 to 64 of a-z, 0-9, `.`, `_`, `-`, begins with a letter or digit, and is not `collector`"
            .into(),
    ))
}

/// Makes an account and its personal token, which exists in clear only in the answer.
pub async fn add(db: &mut Conn, name: &str, roles: &BTreeSet<Role>, now: DateTime<Utc>) -> Result<Secret, Refusal> {
    check_name(name)?;
    let token = Secret::new(Purpose::Personal)?;
    let added = sqlx::query(
        "INSERT INTO accounts (name, token_hash, created) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name)
    .bind(token.hash().as_str())
    .bind(micros(now))
    .execute(&mut *db)
    .await?;
    if added.rows_affected() == 0 {
        return Err(Refusal::Conflict(format!("there already is an account called {name}")));
    }
    for role in roles {
        sqlx::query("INSERT INTO account_roles (account, role) VALUES ($1, $2)")
            .bind(name)
            .bind(role.name())
            .execute(&mut *db)
            .await?;
    }
    Ok(token)
}

/// How the log names the token an account was made with: by a digest of its stored hash, of which nothing can be made.
pub fn token_words(token_hash: &str) -> String {
    format!("token {}", Digest::of(token_hash.as_bytes()).short())
}

/// Whose personal token that is.
pub async fn by_token(db: &mut Conn, presented: &str) -> Result<Option<Account>, Refusal> {
    let hash = Hash::of(presented);
    let row = sqlx::query("SELECT name, token_hash, created FROM accounts WHERE token_hash = $1")
        .bind(hash.as_str())
        .fetch_optional(&mut *db)
        .await?;
    match row {
        Some(row) if hash.is(row.try_get("token_hash")?) => Ok(Some(account(db, row).await?)),
        Some(_) | None => Ok(None),
    }
}

/// The account called `name`.
pub async fn find(db: &mut Conn, name: &str) -> Result<Option<Account>, Refusal> {
    let row =
        sqlx::query("SELECT name, created FROM accounts WHERE name = $1").bind(name).fetch_optional(&mut *db).await?;
    match row {
        Some(row) => Ok(Some(account(db, row).await?)),
        None => Ok(None),
    }
}

/// Everybody, by name.
pub async fn list(db: &mut Conn) -> Result<Vec<Account>, Refusal> {
    let rows = sqlx::query("SELECT name, created FROM accounts ORDER BY name").fetch_all(&mut *db).await?;
    let mut accounts = Vec::new();
    for row in rows {
        accounts.push(account(db, row).await?);
    }
    Ok(accounts)
}

/// Whether nobody has an account yet.
pub async fn is_empty(db: &mut Conn) -> Result<bool, Refusal> {
    Ok(sqlx::query("SELECT 1 FROM accounts LIMIT 1").fetch_optional(db).await?.is_none())
}

async fn account(db: &mut Conn, row: Row) -> Result<Account, Refusal> {
    let name: String = row.try_get("name")?;
    let rows = sqlx::query("SELECT role FROM account_roles WHERE account = $1").bind(&name).fetch_all(db).await?;
    let mut roles = BTreeSet::new();
    for role in rows {
        roles.insert(named::<Role>(role.try_get("role")?)?);
    }
    Ok(Account { name, roles, created: instant(row.try_get("created")?)? })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, store};
    use super::*;

    #[tokio::test]
    async fn a_token_is_its_owners_and_is_not_stored() {
        let (store, folder) = store().await;
        let mut db = store.write().await.unwrap();
        let token = add(&mut db, "ava", &BTreeSet::from([Role::Approver]), at(0)).await.unwrap();
        db.commit().await.unwrap();
        let mut db = store.read().await.unwrap();
        let account = by_token(&mut db, token.reveal()).await.unwrap().unwrap();
        assert_eq!((account.name.as_str(), account.may(Role::Approver)), ("ava", true));
        assert!(!account.may(Role::Operator));
        assert_eq!(by_token(&mut db, "plt_other").await.unwrap(), None);
        drop(db);
        store.close().await;
        let bytes = std::fs::read(folder.path().join("test.db")).unwrap();
        assert!(!bytes.windows(token.reveal().len()).any(|window| window == token.reveal().as_bytes()));
    }

    #[tokio::test]
    async fn a_name_is_given_once_and_has_one_spelling() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        add(&mut db, "ava", &BTreeSet::new(), at(0)).await.unwrap();
        assert!(matches!(add(&mut db, "ava", &BTreeSet::new(), at(0)).await, Err(Refusal::Conflict(_))));
        for name in ["", "Ava", "ava ", "-ava", "collector", "аva", &"a".repeat(65)] {
            assert!(matches!(add(&mut db, name, &BTreeSet::new(), at(0)).await, Err(Refusal::Invalid(_))), "{name}");
        }
        assert!(sqlx::query("UPDATE accounts SET name = 'rhea'").execute(&mut *db).await.is_err());
        assert!(sqlx::query("DELETE FROM accounts").execute(&mut *db).await.is_err());
    }
}
