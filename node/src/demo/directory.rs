//! The directory of a demo: a temporary one, or one that the user keeps.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::TempDir;

/// Where the nodes live.
pub(super) enum Directory {
    /// Removed when dropped.
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Directory {
    pub(super) fn new(keep: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = keep else {
            return Ok(Self::Temporary(tempfile::Builder::new().prefix("dunlin-demo-").tempdir()?));
        };
        let cannot = || format!("cannot keep the demo in {}", path.display());
        std::fs::create_dir_all(path).with_context(cannot)?;
        if std::fs::read_dir(path).with_context(cannot)?.next().is_some() {
            bail!(
                "{} is not empty: each demo makes its own keys; name a new directory",
                path.display()
            );
        }
        Ok(Self::Kept(path.canonicalize().with_context(cannot)?))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(path) => path,
        }
    }
}
