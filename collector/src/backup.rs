//! `backup` and `restore`: the whole of what a collector keeps as one file, and back into an empty data folder.
//!
//! A backup is the database at one instant, taken while it is in use, with a label: when, how far each host was, and the key
//! receipts are signed with, unless it is left out; its last line is the SHA-256 of all before it. Both ways it is checked before its name stands.

mod trailer;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::app::now;
use crate::cli::printer;
use crate::config::Config;
use crate::serve;
use crate::store::backup::{self, Label};
use crate::store::{Store, audit_log};

/// Writes a backup of the collector in `config` to `to`.
pub async fn backup(config: &Config, to: &Path, without_key: bool) -> anyhow::Result<()> {
    let database = config.data.join("collector.db");
    if !database.exists() {
        bail!("there is no collector in {}", config.data.display());
    }
    if to.exists() {
        bail!("{} is there already: a backup never overwrites", to.display());
    }
    let key = config.data.join("receipt.key");
    let receipt_key = match without_key {
        true => None,
        false => Some(std::fs::read(&key).with_context(|| format!("reading {}", key.display()))?),
    };
    let draft = Draft::begin(to)?;
    let taken = now();
    backup::copy(&database, &draft.file).await?;
    let mut db = backup::open(&draft.file).await?;
    backup::check(&mut db).await?;
    let heads = backup::heads(&mut db).await?;
    backup::label(&mut db, &Label { taken, heads, receipt_key }).await?;
    backup::close(db).await?;
    trailer::append(&draft.file)?;
    draft.keep(to)?;
    printer::line(&format!("{}: the collector as of {}, checked", to.display(), printer::instant(taken)))?;
    printer::line(match without_key {
        false => {
            "It HOLDS THE KEY receipts are signed with: whoever has this file can sign as this collector. Keep it as you keep \
             the key."
        }
        true => "It does NOT hold the key receipts are signed with: keep receipt.key elsewhere, hosts trust no other.",
    })?;
    Ok(())
}

/// Makes a collector out of the backup at `from`, in the data folder of `config`, which must be empty.
pub async fn restore(config: &Config, from: &Path) -> anyhow::Result<()> {
    let data = &config.data;
    if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty: a collector is restored into an empty folder, never over another", data.display());
    }
    serve::make_folder(data)?;
    let database = data.join("collector.db");
    let draft = Draft::begin(&database)?;
    std::fs::copy(from, &draft.file).with_context(|| format!("copying {}", from.display()))?;
    if !trailer::take(&draft.file)? {
        bail!("{}: no backup, or not as it was written", from.display());
    }
    let mut db = backup::open(&draft.file).await?;
    backup::check(&mut db).await.with_context(|| format!("checking {}", from.display()))?;
    let label = backup::labelled(&mut db).await?;
    if backup::heads(&mut db).await? != label.heads {
        bail!("{}: hosts do not stand where they stood when it was made; it was altered since", from.display());
    }
    backup::unlabel(&mut db).await?;
    backup::close(db).await?;
    // Older than this program, it is brought to its shape before anything is written.
    let store = Store::open(&draft.file).await?;
    let mut db = store.write().await?;
    backup::restored(&mut db, label.taken, now()).await?;
    let detail = format!("from a backup of {}", printer::instant(label.taken));
    audit_log::note(&mut db, now(), "collector", "restore", "everything", &detail).await?;
    backup::check(&mut db).await?;
    if backup::heads(&mut db).await? != label.heads {
        bail!("hosts do not stand where they stood after the restoring: the disk is not to be trusted");
    }
    db.commit().await?;
    store.close().await;
    if draft.wal().exists() {
        bail!("the database did not close whole: {} is still there", draft.wal().display());
    }
    match &label.receipt_key {
        Some(key) => write_key(&data.join("receipt.key"), key)?,
        None => printer::line(&format!(
            "the backup holds no key: put receipt.key (mode 600) into {} before you serve; hosts trust no other",
            data.display()
        ))?,
    }
    draft.keep(&database)?;
    printer::line(&format!("restored as of {}: {}", printer::instant(label.taken), data.display()))?;
    printer::line("Enrolment tokens, sign-ins and links given out before are void. What came since then is lost.")?;
    Ok(())
}

fn write_key(file: &Path, key: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let write = || -> std::io::Result<()> {
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        opened.write_all(key)?;
        opened.sync_all()
    };
    write().with_context(|| format!("writing {}", file.display()))
}

/// A file that has its name only once it is whole; what is left unfinished is removed.
struct Draft {
    file: PathBuf,
}

impl Draft {
    /// An empty file for its maker's eyes only, beside the place it is for.
    fn begin(place: &Path) -> anyhow::Result<Self> {
        let mut name = place.file_name().with_context(|| format!("{} names no file", place.display()))?.to_owned();
        name.push(".new");
        let file = place.with_file_name(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
        made.with_context(|| format!("making {}", file.display()))?;
        Ok(Self { file })
    }

    /// What SQLite has not yet written into the file itself.
    fn wal(&self) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push("-wal");
        name.into()
    }

    /// Gives it its name, on disk, unless something has that name by now.
    fn keep(&self, place: &Path) -> anyhow::Result<()> {
        let keep = || -> std::io::Result<()> {
            File::open(&self.file)?.sync_all()?;
            std::fs::hard_link(&self.file, place)?;
            std::fs::remove_file(&self.file)?;
            let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        keep().with_context(|| format!("writing {}", place.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.file.clone().into_os_string();
            name.push(end);
            drop(std::fs::remove_file(name));
        }
    }
}
