//! Who this node is. The id belongs to the data directory: a wiped disk is a new node, a copied
//! one is refused, and every start is a new epoch.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dunlin_types::{ClusterId, Epoch, NodeId};
use rustix::fs::{FlockOperation, flock};

use crate::certificate::{Certificate, Standing};
use crate::durable;
use crate::error::Error;
use crate::recovery;

const LOCK: &str = "lock";
/// The Raft log's directory inside the data directory.
pub(crate) const LOG: &str = "raft";

/// A node's identity and the lock on its data directory. The lock lasts as long as this value.
#[derive(Debug)]
pub struct Identity {
    /// The node, for the life of its data directory.
    pub node: NodeId,
    /// This life of the process: one more than the last one's.
    pub epoch: Epoch,
    /// The cluster this node has entered, if any.
    pub cluster: Option<ClusterId>,
    dir: PathBuf,
    certificate: Certificate,
    _lock: File,
}

impl Identity {
    /// Opens a data directory, making it (0700) if it is not there, and begins a new epoch.
    ///
    /// # Errors
    /// The directory cannot be used, is in use, was copied from another node, or has lost its
    /// certificate or its log.
    pub fn open(data_dir: &Path) -> Result<Self, Error> {
        durable::make_dir(data_dir).map_err(Error::file("make", data_dir))?;
        let found = Certificate::read(data_dir)?;
        let deleted_lock = found.is_some() && !data_dir.join(LOCK).exists();
        let lock = lock(data_dir)?;
        let inode = lock.metadata().map_err(Error::file("read", data_dir.join(LOCK)))?.ino();
        let mut certificate = match found {
            Some(certificate) => certificate,
            None if data_dir.join(LOG).exists() => {
                return Err(Error::NoCertificate { path: data_dir.to_owned() });
            }
            None => Certificate::newborn(NodeId(rand::random()), inode),
        };
        if deleted_lock {
            certificate.inode = inode;
        } else if certificate.inode != inode {
            return Err(Error::Copied { path: data_dir.to_owned(), node: certificate.node });
        }
        recovery::finish(data_dir, &mut certificate)?;
        if let (Some(why), Some(cluster)) =
            (certificate.removed.clone(), certificate.standing.cluster)
        {
            return Err(Error::Removed { node: certificate.node, cluster, why });
        }
        if certificate.standing.cluster.is_some()
            && certificate.stored
            && !data_dir.join(LOG).exists()
        {
            return Err(Error::Emptied {
                path: data_dir.join(LOG),
                lost: "the whole log is gone".to_owned(),
            });
        }
        certificate.epoch = Epoch(certificate.epoch.0 + 1);
        certificate.write(data_dir)?;
        Ok(Self {
            node: certificate.node,
            epoch: certificate.epoch,
            cluster: certificate.standing.cluster,
            dir: data_dir.to_owned(),
            certificate,
            _lock: lock,
        })
    }

    /// The directory this identity belongs to.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.certificate.standing
    }

    /// Changes the certificate; on return the change is durable, and only then visible.
    pub(crate) fn amend(&mut self, change: impl FnOnce(&mut Certificate)) -> Result<(), Error> {
        let mut certificate = self.certificate.clone();
        change(&mut certificate);
        if certificate == self.certificate {
            return Ok(());
        }
        certificate.write(&self.dir)?;
        self.cluster = certificate.standing.cluster;
        self.certificate = certificate;
        Ok(())
    }
}

fn lock(data_dir: &Path) -> Result<File, Error> {
    let path = data_dir.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::file("open", &path))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Error::InUse { path: path.clone() })?;
    file.sync_all().map_err(Error::file("sync", &path))?;
    durable::sync(data_dir).map_err(Error::file("sync", data_dir))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
