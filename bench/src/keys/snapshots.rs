//! Which snapshots nodes wrote, as their logs tell.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const TOLD: &str = "wrote a snapshot of the state";

/// Nodes' logs, each with how far it is read, and what was read in them.
pub(super) struct Snapshots {
    logs: Vec<(PathBuf, usize)>,
    written: Vec<Snapshot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Snapshot {
    bytes: u64,
    took: Duration,
}

impl Snapshots {
    pub(super) fn told_in(logs: impl Iterator<Item = PathBuf>) -> Self {
        Self { logs: logs.map(|log| (log, 0)).collect(), written: Vec::new() }
    }

    /// Reads on; gives how long the longest of the new ones took.
    pub(super) fn look(&mut self) -> anyhow::Result<Option<Duration>> {
        let before = self.written.len();
        for (log, read) in &mut self.logs {
            let text = fs::read_to_string(log)?;
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            self.written.extend(text[*read..whole].lines().filter_map(written));
            *read = whole;
        }
        Ok(self.written[before..].iter().map(|one| one.took).max())
    }

    pub(super) fn told(&self) -> String {
        let (Some(last), Some(longest)) =
            (self.written.last(), self.written.iter().map(|one| one.took).max())
        else {
            return "none was written".to_owned();
        };
        let (count, bytes) = (self.written.len(), last.bytes);
        let (last, longest) = (last.took.as_secs_f64(), longest.as_secs_f64());
        format!(
            "{count}, the last of {bytes} bytes in {last:.2} s; the longest took {longest:.2} s"
        )
    }
}

fn written(line: &str) -> Option<Snapshot> {
    let (_, figures) = line.split_once(TOLD)?;
    let figure = |name: &str| {
        let (_, behind) = figures.split_once(name)?;
        behind.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    Some(Snapshot { bytes: figure("bytes=")?, took: Duration::from_millis(figure("millis=")?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_known_by_the_line_that_tells_it() {
        let told =
            format!("2026-01-01T00:00:00Z  INFO x: {TOLD} bytes=1500 millis=42 through=Some(7)");
        let expected = Snapshot { bytes: 1_500, took: Duration::from_millis(42) };
        assert_eq!(written(&told), Some(expected));
        assert_eq!(written("2026-01-01T00:00:00Z  INFO x: bytes=1 millis=2"), None);
    }
}
