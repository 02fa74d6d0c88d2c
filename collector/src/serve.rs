//! `serve`: opens the store, makes what the first start needs, listens until told to stop.

mod connections;
mod descriptors;
mod first_token;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use audit::baseline::Baseline;
use audit::lifecycle::Lifecycles;
use audit::shipped;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use connections::Capped;
use ed25519_dalek::SigningKey;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;

use crate::app::{App, INFLATING, REQUESTS, Wake, now};
use crate::cli::printer;
use crate::config::{Config, Tls};
use crate::outbox::{self, Webhook};
use crate::quota::Quotas;
use crate::secret::Secret;
use crate::store::accounts::{self, Role};
use crate::store::{Store, audit_log};
use crate::{files, folding, http, reconciling, silence};

/// The name of the first account.
const FIRST_ACCOUNT: &str = "admin";
/// A request's headers must be whole within this; hyper has no limit unless a timer is set.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections open at once.
const CONNECTIONS: usize = 4096;
/// How long requests under way may take to end when the collector stops.
const GRACE: Duration = Duration::from_secs(10);
/// What one HTTP/2 connection may send before it is read, in bytes: enough for a few MiB a second over a slow line.
const UNREAD: u32 = 128 * 1024;
/// The largest key file that is read.
const KEY_BYTES: usize = 32;

/// Descriptors beside those of connections: the database, logs, what is read at start.
const OTHER_DESCRIPTORS: u64 = 256;

/// A shell commonly gives 1024 descriptors and allows for many more: as many as there may be connections are asked for.
fn enough_descriptors() {
    let wanted = CONNECTIONS as u64 + OTHER_DESCRIPTORS;
    let given = getrlimit(Resource::Nofile);
    let allowed = given.maximum.unwrap_or(u64::MAX);
    if given.current.is_none_or(|current| current >= wanted) {
        return;
    }
    if allowed < wanted {
        tracing::warn!("only {allowed} descriptors are allowed: {CONNECTIONS} connections at once would need {wanted}");
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed.min(wanted)), ..given }) {
        tracing::warn!(%error, "the limit of descriptors stays as it is");
    }
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    enough_descriptors();
    make_folder(&config.data)?;
    let _alone = alone(&config.data.join("lock"))?;
    let store = Store::open(&config.data.join("collector.db")).await?;
    let is_new = accounts::is_empty(&mut *store.read().await?).await?;
    let listener = TcpListener::bind(config.listen).with_context(|| format!("listening on {}", config.listen))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let tls = match &config.tls {
        Some(tls) => Some(certificate(tls).await?),
        None => None,
    };
    let webhook = match &config.slack {
        Some(slack) => Some(Webhook::new(&slack.address()?)?),
        None => {
            tracing::warn!("no `slack` is configured: alerts have nowhere to go; drift is shown all the same");
            None
        }
    };
    let here = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
    let app = App {
        store: store.clone(),
        receipt_key: Arc::new(receipt_key(&config.data.join("receipt.key"), is_new)?),
        public_url: config.public_url.as_deref().unwrap_or(&here).trim_end_matches('/').into(),
        baseline: Arc::new(baseline(&config)?),
        lifecycles: Arc::new(lifecycles(&config)?),
        judge: Wake::default(),
        outbox: Wake::default(),
        alerts: webhook.is_some(),
        fold_after: config.fold_after(),
        silent_after: config.silent_after,
        inflating: Arc::new(Semaphore::new(INFLATING)),
        bodies: Arc::default(),
        requests: Arc::new(Semaphore::new(REQUESTS)),
        attempts: Arc::default(),
        quotas: Arc::new(Quotas::new(config.limits)),
    };
    first_account(&store, |token| first_token::hand_over(token, &config.data)).await?;
    if let Err(error) = printer::line(&format!("listening on {here}")) {
        tracing::warn!(%error, "listening on {here}, which could not be written to standard output");
    }
    let judging = tokio::spawn(reconciling::run(app.clone()));
    let listening = tokio::spawn(silence::run(app.clone()));
    let folding = tokio::spawn(folding::run(app.clone()));
    let sending = webhook.map(|webhook| tokio::spawn(outbox::run(app.clone(), webhook)));
    let handle = Handle::new();
    tokio::spawn(stop_when_told(handle.clone()));
    listen(listener, tls, app, handle).await?;
    // Whatever they were at is either committed or will be done again.
    judging.abort();
    listening.abort();
    folding.abort();
    if let Some(sending) = sending {
        sending.abort();
    }
    store.close().await;
    Ok(())
}

async fn certificate(tls: &Tls) -> anyhow::Result<RustlsConfig> {
    let read = |file: &Path| files::read(file).with_context(|| format!("reading {}", file.display()));
    let made = RustlsConfig::from_pem(read(&tls.certificate)?, read(&tls.key)?).await;
    made.with_context(|| format!("the certificate {} and its key {}", tls.certificate.display(), tls.key.display()))
}

async fn listen(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    app: App,
    handle: Handle<SocketAddr>,
) -> anyhow::Result<()> {
    let service = http::router(app).into_make_service_with_connect_info::<SocketAddr>();
    let connections = descriptors::room_for(CONNECTIONS);
    match tls {
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle);
            let mut server = server.map(|inner| Capped::new(inner, connections));
            limit(server.http_builder());
            server.serve(service).await?;
        }
        None => {
            let server = axum_server::from_tcp(listener)?.handle(handle);
            let mut server = server.map(|inner| Capped::new(inner, connections));
            limit(server.http_builder());
            server.serve(service).await?;
        }
    }
    Ok(())
}

fn limit(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    let timer = hyper_util::rt::TokioTimer::new;
    builder.http1().timer(timer()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(timer())
        .max_concurrent_streams(64)
        // What a connection may send before it is read is held for it: hyper's own megabyte, a thousand times, is too much.
        .initial_stream_window_size(UNREAD)
        .initial_connection_window_size(UNREAD)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
}

async fn stop_when_told(handle: Handle<SocketAddr>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be waited for");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: requests under way may end");
    handle.graceful_shutdown(Some(GRACE));
}

/// What the names of the collector's own files begin with.
const OWN: [&str; 4] = ["collector.db", "first-token", "lock", "receipt.key"];

/// The data folder, for the collector's eyes only.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("making the data folder {}", folder.display()))?;
    let mode = std::fs::metadata(folder)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        // Shutting others out of /tmp or /var/lib, because it was configured by mistake, would break the machine.
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            if !OWN.iter().any(|own| name.to_string_lossy().starts_with(own)) {
                bail!(
                    "{} is open to others and holds {}: close it (chmod 700), or give the collector a folder of its own",
                    folder.display(),
                    name.display()
                );
            }
        }
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .with_context(|| format!("keeping others out of {}", folder.display()))?;
    }
    Ok(())
}

/// Keeps a second collector off the data: two would each send every alert. Held as long as the file is open, and let go
/// by the kernel however the process ends.
fn alone(file: &Path) -> anyhow::Result<std::fs::File> {
    let options = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file);
    let lock = options.with_context(|| format!("opening {}", file.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("another collector is running on this data: {}", file.display())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", file.display())),
    }
}

/// The key receipts are signed with: made at the first start, never replaced by itself.
fn receipt_key(file: &Path, is_new: bool) -> anyhow::Result<SigningKey> {
    match files::read(file) {
        Ok(bytes) => match <[u8; KEY_BYTES]>::try_from(bytes) {
            Ok(seed) => Ok(SigningKey::from_bytes(&seed)),
            Err(_) => bail!("{} is not the key of {KEY_BYTES} bytes it should be", file.display()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_new => make_key(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "{} is missing, and no host trusts a receipt by another key: put it back from the backup. If there is none, \
             `head -c 32 /dev/urandom` makes a new one, and every host has to enrol anew",
            file.display()
        ),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

fn make_key(file: &Path) -> anyhow::Result<SigningKey> {
    use std::io::Write as _;
    let mut seed = [0; KEY_BYTES];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("the kernel gave no random bytes: {error}"))?;
    // Written whole under another name first: half a key would be a key nobody can use.
    let draft = file.with_extension("key.new");
    let write = || -> std::io::Result<()> {
        let options = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
        let mut draft_file = options?;
        draft_file.write_all(&seed)?;
        draft_file.sync_all()?;
        std::fs::rename(&draft, file)?;
        match file.parent() {
            Some(folder) => std::fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().with_context(|| format!("writing {}", file.display()))?;
    Ok(SigningKey::from_bytes(&seed))
}

fn baseline(config: &Config) -> anyhow::Result<Baseline> {
    let Some(file) = &config.baseline else {
        return Ok(Baseline::parse("linux-server.yaml", shipped::LINUX_SERVER.as_bytes())?);
    };
    let bytes = files::read(file).with_context(|| format!("reading the baseline {}", file.display()))?;
    Ok(Baseline::load(&file.display().to_string(), &bytes, &files::Beside::of(file))?)
}

fn lifecycles(config: &Config) -> anyhow::Result<Lifecycles> {
    let Some(file) = &config.eol else {
        return Ok(Lifecycles::parse("end-of-life.yaml", shipped::END_OF_LIFE.as_bytes())?);
    };
    let bytes = files::read(file).with_context(|| format!("reading the end-of-life dates {}", file.display()))?;
    Ok(Lifecycles::parse(&file.display().to_string(), &bytes)?)
}

/// At the first start, the first account. Its token is handed over before the account is kept: one nobody has would shut
/// everybody out. Whether there was anything to do.
async fn first_account(store: &Store, hand_over: impl FnOnce(&Secret) -> anyhow::Result<()>) -> anyhow::Result<bool> {
    let mut db = store.write().await?;
    if !accounts::is_empty(&mut db).await? {
        return Ok(false);
    }
    let now = now();
    let token = accounts::add(&mut db, FIRST_ACCOUNT, &[Role::Administrator].into(), now).await?;
    let detail = format!("administrator ({})", accounts::token_words(token.hash().as_str()));
    audit_log::note(&mut db, now, "collector", "user add", FIRST_ACCOUNT, &detail).await?;
    hand_over(&token)?;
    db.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_collectors_never_share_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lock");
        let first = alone(&file).unwrap();
        assert!(alone(&file).unwrap_err().to_string().contains("another collector"));
        drop(first);
        assert!(alone(&file).is_ok());
    }

    #[test]
    fn the_receipt_key_is_made_once_for_the_collectors_eyes_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("receipt.key");
        assert!(receipt_key(&file, false).unwrap_err().to_string().contains("backup"));
        assert!(!file.exists());
        let made = receipt_key(&file, true).unwrap();
        assert_eq!(receipt_key(&file, false).unwrap().to_bytes(), made.to_bytes());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, b"half a key").unwrap();
        assert!(receipt_key(&file, true).unwrap_err().to_string().contains("32 bytes"));
        assert_eq!(std::fs::read(&file).unwrap(), b"half a key");
    }

    #[test]
    fn others_are_kept_out_of_the_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/data");
        make_folder(&data).unwrap();
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_of_others_is_refused_and_left_as_open_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let open = || std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        open();
        std::fs::write(folder.path().join("receipt.key"), "").unwrap();
        make_folder(folder.path()).unwrap();
        open();
        std::fs::write(folder.path().join("letters"), "").unwrap();
        assert!(make_folder(folder.path()).unwrap_err().to_string().contains("letters"));
        assert_eq!(std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[tokio::test]
    async fn only_the_first_start_makes_an_account() {
        let (store, _folder) = crate::store::testing::store().await;
        first_account(&store, |_| bail!("nowhere to write it")).await.unwrap_err();
        assert!(first_account(&store, |_| Ok(())).await.unwrap(), "what nobody was told is not kept");
        assert!(!first_account(&store, |_| Ok(())).await.unwrap());
    }
}
