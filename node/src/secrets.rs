//! The cluster secret, from the environment, the file, or the data directory of a cluster of one.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use dunlin_config::{ClusterSection, Environment};
use dunlin_types::{Secret, Secrets};

use crate::config::invalid;

/// Shorter cluster secrets could be searched for by anyone who records one handshake.
const MIN_CLUSTER_SECRET: usize = 16;

/// The secret of a cluster of several, and the one whose place it takes while it is changed.
///
/// # Errors
/// There is none, or one that could be guessed.
pub(crate) fn of_cluster(
    environment: &Environment,
    section: Option<&ClusterSection>,
) -> anyhow::Result<Secrets> {
    let secret = environment
        .get("DUNLIN_CLUSTER_SECRET")
        .map(Secret::new)
        .or_else(|| section.and_then(|section| section.secret.clone()));
    let Some(secret) = secret.filter(|secret| secret.expose().len() >= MIN_CLUSTER_SECRET) else {
        return Err(invalid(format!(
            "a cluster needs a secret of {MIN_CLUSTER_SECRET} characters or more, the same on \
             every node: it authenticates and encrypts all traffic between nodes\nhelp: export \
             DUNLIN_CLUSTER_SECRET=\"$(openssl rand -hex 32)\" and give all nodes the same value"
        )));
    };
    Ok(Secrets::new(secret, previous_secret(environment)?))
}

/// The secret whose place the cluster secret takes.
fn previous_secret(environment: &Environment) -> anyhow::Result<Option<Secret>> {
    let name = "DUNLIN_CLUSTER_SECRET_PREVIOUS";
    let previous = environment.get(name).filter(|secret| !secret.is_empty()).map(Secret::new);
    if previous.as_ref().is_some_and(|secret| secret.expose().len() < MIN_CLUSTER_SECRET) {
        return Err(invalid(format!(
            "{name} is shorter than {MIN_CLUSTER_SECRET} characters, so it was never the cluster's \
             secret\nhelp: set it to the former DUNLIN_CLUSTER_SECRET while you change the secret, \
             else unset it"
        )));
    }
    Ok(previous)
}

/// The secret of a cluster of one: made at the first start, kept in the data directory.
pub(crate) fn own(data_dir: &Path) -> anyhow::Result<Secret> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let path = data_dir.join("secret");
    match fs::read_to_string(&path) {
        Ok(text) if text.len() >= MIN_CLUSTER_SECRET => return Ok(Secret::new(text)),
        Ok(_) => bail!(
            "{} is damaged: restore it from a backup, or remove the data directory",
            path.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let bytes: [u8; 32] = rand::random();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let temporary = data_dir.join("secret.new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    fs::File::open(data_dir)?.sync_all()?;
    Ok(Secret::new(text))
}
