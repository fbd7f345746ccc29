//! What a process and its children have used, from `/proc`.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What one unit of `utime` and `stime` is: Linux shows them in hundredths of a second everywhere.
const TICK: Duration = Duration::from_millis(10);

/// CPU time used so far by some processes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpu(Duration);

impl Cpu {
    pub(crate) fn micros(self) -> f64 {
        self.0.as_secs_f64() * 1e6
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// User and system time of these processes and their living children.
pub(crate) fn cpu(pids: &[u32]) -> anyhow::Result<Cpu> {
    let mut ticks = 0;
    for pid in family(pids)? {
        // A worker may end between being listed and being read.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        ticks += ticks_in(&stat).with_context(|| format!("/proc/{pid}/stat is: {stat}"))?;
    }
    Ok(Cpu(TICK * ticks))
}

/// Resident memory of these processes and their living children, in bytes.
pub(crate) fn resident_bytes(pids: &[u32]) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for pid in family(pids)? {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        bytes += kilobytes.unwrap_or(0) * 1024;
    }
    Ok(bytes)
}

/// Lets this process have as many files open as the system allows: each request here is one, and one
/// more at the mock.
pub(crate) fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Below it, a request may fail for want of a file, and says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The fields of a stat line after the command, which may itself hold spaces and brackets: the
/// first of them is the state.
fn fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

fn ticks_in(stat: &str) -> Option<u32> {
    let fields = fields(stat)?;
    let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
    Some(number(11)? + number(12)?)
}

fn parent_in(stat: &str) -> Option<u32> {
    fields(stat)?.get(1)?.parse().ok()
}

/// The processes themselves and their direct children.
fn family(pids: &[u32]) -> anyhow::Result<Vec<u32>> {
    let mut family = pids.to_vec();
    for entry in fs::read_dir("/proc").context("cannot read /proc; Linux is needed")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if parent_in(&stat).is_some_and(|parent| pids.contains(&parent)) {
            family.push(pid);
        }
    }
    Ok(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_its_command() {
        let stat = "42 (ng) inx: w) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 99 1 2";
        assert_eq!(ticks_in(stat), Some(300));
        assert_eq!(parent_in(stat), Some(7));
    }
}
