//! Power cuts. Where root, loop devices and ext4 are at hand, a real file system is shut down
//! under a writing process. Everywhere else a mirror stands for the disk: it gets the files as
//! they were when they were synced, and nothing else.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use super::*;

/// The real test runs itself again as a child, which finds in here where to write.
const CHILD_OF: &str = "DUNLIN_POWER_CUT_AT";
const ITSELF: &str = "log_store::tests::power_cut::a_real_power_cut_loses_nothing_acknowledged";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for found in fs::read_dir(from).expect("listed") {
        let found = found.expect("an entry");
        let target = to.join(found.file_name());
        if found.file_type().expect("a type").is_dir() {
            copy(&found.path(), &target);
        } else {
            fs::copy(found.path(), target).expect("copied");
        }
    }
}

/// A store whose `db` file reaches `mirror` at each sync. All other files reach it once, when the
/// log is opened, which is when they are synced.
fn mirrored(bench: &Bench, mirror: &Path) -> LogStore {
    let (db, copied) = (bench.dir.join("db"), mirror.join("db"));
    let sync_data: SyncData = Box::new(move |file| {
        file.sync_data()?;
        if copied.parent().is_some_and(Path::exists) {
            fs::copy(&db, &copied)?;
        }
        Ok(())
    });
    let store = bench.open_as(with_sync(sync_data)).expect("opened");
    copy(&bench.dir, mirror);
    store
}

#[tokio::test]
async fn a_disk_that_keeps_only_what_was_synced_keeps_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path().join("raft"));
    let mirror = dir.path().join("mirror");
    let mut store = mirrored(&bench, &mirror);
    let mut next = 0;
    let mut purged = 0;
    for round in 0..30_u64 {
        // Entries of all lengths, so that pages, pieces and segments are crossed everywhere.
        let count = 1 + round % 7;
        fill(&mut store, next..next + count, 1 << (round % 19)).await;
        next += count;
        let vote = Vote::new_committed(round + 1, 7);
        store.save_vote(&vote).await.expect("voted");
        if round % 10 == 9 {
            // The last acknowledged thing, so that the mirror must know it.
            store.purge(log_id(1, next - 20)).await.expect("purged");
            purged = next - 19;
            fill(&mut store, next..next + 1, 10).await;
            next += 1;
        }
        if round % 3 == 0 {
            let cut = Bench::new(dir.path().join(format!("cut-{round}")));
            copy(&mirror, &cut.dir);
            let found = cut.open_as(Opening::new(OWNER, true)).expect("opened");
            assert_eq!(indexes(&found, 0..next + 9).await, Vec::from_iter(purged..next));
            assert_eq!(found.reader().read_vote().await.expect("read"), Some(vote));
            cut.close(found).await;
            fs::remove_dir_all(&cut.dir).expect("removed");
        }
    }
    bench.close(store).await;
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Process::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// An ext4 file system in a file, taken down when dropped.
struct Mounted {
    device: String,
    at: String,
}

impl Mounted {
    /// None where this machine does not allow it.
    fn new(dir: &Path) -> Option<Self> {
        let image = dir.join("image").display().to_string();
        let at = dir.join("mount").display().to_string();
        fs::create_dir(&at).ok()?;
        run("truncate", &["-s", "256M", &image])?;
        run("mkfs.ext4", &["-q", &image])?;
        let device = run("losetup", &["-f", "--show", &image])?;
        let mounted = Self { device, at };
        mounted.mount().then_some(mounted)
    }

    fn mount(&self) -> bool {
        run("mount", &[&self.device, &self.at]).is_some()
    }

    /// Drops everything that was not made durable; the file system is dead until mounted again.
    fn cut(&self) -> bool {
        let shut_down = "import fcntl,os,struct,sys;\
             fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x8004587d,struct.pack('I',2))";
        run("python3", &["-c", shut_down, &self.at]).is_some()
    }

    fn unmount(&self) -> bool {
        // The last handles of a killed process may take a moment to close.
        (0..100).any(|attempt| {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(50));
            }
            run("umount", &[&self.at]).is_some()
        })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &["-l", &self.at]);
        run("losetup", &["-d", &self.device]);
    }
}

/// The child's whole life: it prints each acknowledged index until it is killed.
async fn write_until_killed(mount: &Path) {
    let mut store = Bench::new(mount.join("raft")).open();
    let mut next = store.reader().tail().end();
    loop {
        fill(&mut store, next..next + 3, 1 << (next % 17)).await;
        next += 3;
        writeln!(std::io::stderr(), "acknowledged {next}").expect("told");
        if next % 100 < 3 && next > 200 {
            store.purge(log_id(1, next - 150)).await.expect("purged");
        }
    }
}

fn start_child(mount: &str) -> Child {
    Process::new(std::env::current_exe().expect("this test"))
        .args(["--exact", ITSELF, "--nocapture"])
        .env(CHILD_OF, mount)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started")
}

/// Lets the child acknowledge `more` entries, cuts the power in the middle of its work, and
/// returns the last index it acknowledged.
fn cut_after(mounted: &Mounted, more: usize) -> u64 {
    let mut child = start_child(&mounted.at);
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut last = 0;
    let mut read = |lines: &mut BufReader<_>| {
        let mut line = String::new();
        let count: usize = BufRead::read_line(lines, &mut line).expect("text");
        if let Some(index) = line.trim().strip_prefix("acknowledged ") {
            last = index.parse().expect("a number");
        }
        count
    };
    for _ in 0..more {
        assert_ne!(read(&mut lines), 0, "the child ended early");
    }
    assert!(mounted.cut(), "the file system is shut down");
    child.kill().expect("killed");
    // What it acknowledged before the cut, and had not been read yet.
    while read(&mut lines) != 0 {}
    child.wait().expect("ended");
    drop(lines.read_to_end(&mut Vec::new()));
    last
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test's word to its own child process")]
async fn a_real_power_cut_loses_nothing_acknowledged() {
    if let Some(mount) = std::env::var_os(CHILD_OF) {
        return write_until_killed(Path::new(&mount)).await;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let Some(mounted) = Mounted::new(dir.path()) else {
        eprintln!("no root, loop device or mkfs.ext4 here: only the mirror is tested");
        return;
    };
    eprintln!("cutting the power of a real file system at {}", mounted.at);
    let mut last = 0;
    for more in [3, 40, 120] {
        last = cut_after(&mounted, more).max(last);
        assert!(mounted.unmount() && mounted.mount(), "the file system comes back");
        let bench = Bench::new(Path::new(&mounted.at).join("raft"));
        let store = bench.open_as(Opening::new(OWNER, true)).expect("opened");
        let found = store.reader().tail().end();
        assert!(found >= last, "{last} entries were acknowledged, {found} are there");
        bench.close(store).await;
    }
    assert!(last > 300);
}
