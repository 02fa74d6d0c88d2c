//! Running a program and keeping it within bounds: an absolute path that only root may write, an empty environment,
//! nothing on its input, a time limit and a size limit. What exceeds one is killed and is a gap.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use audit::host::{Gap, GapKind};

/// What a program may cost.
pub(super) struct Bounds {
    /// From start to end.
    pub(super) patience: Duration,
    /// Bytes on its standard output.
    pub(super) most: usize,
}

/// Complaints longer than this are cut.
const MOST_COMPLAINT: usize = 4096;

/// What `program` wrote on its standard output, if it ended well. `what` names the command in gaps.
pub(super) fn run(program: &Path, words: &[&str], what: &str, bounds: &Bounds) -> Result<Vec<u8>, Gap> {
    trusted(program, what)?;
    let failed = |error: &io::Error| Gap::new(GapKind::Failed, what, format!("could not be run: {}", error.kind()));
    let mut child = Command::new(program)
        .args(words)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let answer = attend(&mut child, what, bounds);
    if answer.is_err() {
        // Whatever it is doing, it is not waited for; killing what has ended already is no harm.
        child.kill().ok();
    }
    child.wait().ok();
    let (status, output, complaint) = answer?;
    if status.success() {
        return Ok(output);
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let kind = if complaint.contains("Operation not permitted") { GapKind::Denied } else { GapKind::Failed };
    let first = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let first: String = first.chars().take(200).collect();
    Err(Gap::new(kind, what, format!("{status}: {first}")))
}

type Ended = (ExitStatus, Vec<u8>, Vec<u8>);

fn attend(child: &mut Child, what: &str, bounds: &Bounds) -> Result<Ended, Gap> {
    let until = Instant::now() + bounds.patience;
    let slow = || Gap::new(GapKind::TimedOut, what, format!("no end within {} s", bounds.patience.as_secs()));
    let (tell, told) = mpsc::channel();
    let output = tell.clone();
    drain(child.stdout.take(), bounds.most, move |bytes| output.send((true, bytes)).is_ok());
    drain(child.stderr.take(), MOST_COMPLAINT, move |bytes| tell.send((false, bytes)).is_ok());
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((true, Ok(bytes))) => said = bytes,
            Ok((false, Ok(bytes))) => complaint = bytes,
            Ok((_, Err(error))) => {
                return Err(Gap::new(GapKind::Failed, what, format!("its output broke off: {}", error.kind())));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(slow()),
        }
        if said.len() > bounds.most {
            return Err(Gap::new(GapKind::TooLarge, what, format!("more than {} bytes", bounds.most)));
        }
    }
    // Both pipes are closed, so it is ending; one that lingers all the same is not waited for longer than allowed.
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((status, said, complaint)),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
            Ok(None) => return Err(slow()),
            Err(error) => return Err(Gap::new(GapKind::Failed, what, format!("cannot be waited for: {error}"))),
        }
    }
}

/// Reads up to one byte more than `most` on a thread of its own, which ends when the pipe does.
fn drain<R: Read + Send + 'static>(
    pipe: Option<R>,
    most: usize,
    tell: impl FnOnce(io::Result<Vec<u8>>) -> bool + Send + 'static,
) {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let read = match pipe {
            Some(pipe) => pipe.take(limit).read_to_end(&mut bytes),
            None => Ok(0),
        };
        tell(read.map(|_| bytes))
    });
}

/// A program somebody else than root may change would hand them our rights.
fn trusted(program: &Path, what: &str) -> Result<(), Gap> {
    let stat = fs::metadata(program).map_err(|error| {
        let kind = if error.kind() == io::ErrorKind::NotFound { GapKind::Unsupported } else { GapKind::Failed };
        Gap::new(kind, what, format!("{}: {}", program.display(), error.kind()))
    })?;
    if stat.is_file() && stat.uid() == 0 && stat.mode() & 0o022 == 0 {
        return Ok(());
    }
    let detail = format!("{} is not run: others than root may change it", program.display());
    Err(Gap::new(GapKind::Denied, what, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, bounds: &Bounds) -> Result<Vec<u8>, Gap> {
        run(Path::new("/bin/sh"), &["-c", script], "sh", bounds)
    }

    const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(20), most: 100 };

    #[test]
    fn what_a_program_says_comes_back_and_it_sees_no_environment() {
        assert_eq!(sh("printf %s \"a$HOME\"", &BOUNDS).unwrap(), b"a");
    }

    #[test]
    fn too_much_output_is_a_gap_and_the_program_is_ended() {
        let gap = sh("while :; do echo yyyyyyyy; done", &BOUNDS).unwrap_err();
        assert_eq!(gap.kind, GapKind::TooLarge);
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let bounds = Bounds { patience: Duration::from_millis(50), most: 100 };
        assert_eq!(sh("exec sleep 3600", &bounds).unwrap_err().kind, GapKind::TimedOut);
        assert_eq!(sh("exec sleep 3600 >&- 2>&-", &bounds).unwrap_err().kind, GapKind::TimedOut);
    }

    #[test]
    fn failure_is_told_by_the_first_line_of_complaint() {
        let gap = sh("echo; echo oh no >&2; exit 3", &BOUNDS).unwrap_err();
        assert!(gap.kind == GapKind::Failed && gap.detail.contains("oh no"), "{gap}");
        let gap = sh("echo 'x: Operation not permitted' >&2; exit 1", &BOUNDS).unwrap_err();
        assert_eq!(gap.kind, GapKind::Denied);
    }

    #[test]
    fn a_program_that_is_missing_or_writable_by_others_is_not_run() {
        let gap = run(Path::new("/nonexistent/nft"), &[], "nft", &BOUNDS).unwrap_err();
        assert_eq!(gap.kind, GapKind::Unsupported);
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("nft");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(run(&program, &[], "nft", &BOUNDS).unwrap_err().kind, GapKind::Denied);
    }
}
