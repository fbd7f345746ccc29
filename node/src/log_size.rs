//! How large this node's request log may become.

use std::path::Path;

/// Without a setting: as large as the log's own bound, and no more than this part of the disk.
const PART_OF_DISK: u64 = 10;

/// In bytes: `gb`, or what is usual on a disk of the size of the one with `dir`.
pub(crate) fn bytes(gb: Option<u64>, dir: &Path) -> u64 {
    let usual = dunlin_journal::Bounds::default().bytes;
    let existing = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let disk =
        rustix::fs::statvfs(existing).map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize));
    let usual = disk.map_or(usual, |disk| usual.min(disk / PART_OF_DISK));
    gb.map_or(usual, |gb| gb.saturating_mul(1 << 30))
}
