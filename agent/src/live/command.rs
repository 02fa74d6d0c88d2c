//! Running a program and keeping it within bounds: an absolute path that only root may write, an empty environment,
//! nothing on its input, a time limit and a size limit. What exceeds one is killed and is a gap.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use audit::host::{Gap, GapKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

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
    let broke = |error: io::Error| Gap::new(GapKind::Failed, what, format!("its output broke off: {}", error.kind()));
    let mut said = Drained::new(child.stdout.take(), bounds.most.saturating_add(1));
    let mut complaint = Drained::new(child.stderr.take(), MOST_COMPLAINT);
    while said.pipe.is_some() || complaint.pipe.is_some() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(slow());
        }
        read_some(&mut said, &mut complaint, left).map_err(broke)?;
        if said.bytes.len() > bounds.most {
            return Err(Gap::new(GapKind::TooLarge, what, format!("more than {} bytes", bounds.most)));
        }
    }
    // Both pipes are closed, so it is ending; one that lingers all the same is not waited for longer than allowed.
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((status, said.bytes, complaint.bytes)),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
            Ok(None) => return Err(slow()),
            Err(error) => return Err(Gap::new(GapKind::Failed, what, format!("cannot be waited for: {error}"))),
        }
    }
}

/// What came out of a pipe, as far as it is kept, and the pipe until it ends.
struct Drained<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
    most: usize,
}

impl<R: Read + AsFd> Drained<R> {
    fn new(pipe: Option<R>, most: usize) -> Self {
        Self { pipe, bytes: Vec::new(), most }
    }

    /// Takes what is there, waiting only where nothing is.
    fn take(&mut self) -> io::Result<()> {
        const CHUNK: usize = 64 * 1024;
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK, 0);
        let read = pipe.read(self.bytes.get_mut(before..).unwrap_or_default());
        let ended = matches!(read, Ok(0));
        self.bytes.truncate(self.most.min(before + *read.as_ref().unwrap_or(&0)));
        if ended {
            self.pipe = None;
        }
        match read {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Waits until either pipe has something or ends, at most `patience`, and takes it.
fn read_some<A: Read + AsFd, B: Read + AsFd>(
    one: &mut Drained<A>,
    other: &mut Drained<B>,
    patience: Duration,
) -> io::Result<()> {
    let (one_is, other_is) = {
        let (first, second) = (one.pipe.as_ref().map(AsFd::as_fd), other.pipe.as_ref().map(AsFd::as_fd));
        let mut asked: Vec<PollFd<'_>> =
            [first, second].into_iter().flatten().map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN)).collect();
        match poll(&mut asked, Some(&Timespec::try_from(patience).map_err(io::Error::other)?)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // The end of a pipe is told without having been asked for.
        let mut ready = asked.iter().map(|pipe| !pipe.revents().is_empty());
        (first.is_some() && ready.next() == Some(true), second.is_some() && ready.next() == Some(true))
    };
    if one_is {
        one.take()?;
    }
    if other_is {
        other.take()?;
    }
    Ok(())
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
    fn complaints_without_end_hide_nothing_and_hold_nothing_up() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo complaint >&2; i=$((i+1)); done; echo said";
        assert_eq!(sh(script, &BOUNDS).unwrap(), b"said\n");
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
