//! A dump of LiteLLM's table of keys, as `COPY ... CSV` writes it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The clear text of a key in it.
pub(super) fn key(number: u64) -> String {
    format!("sk-imported-{number}")
}

/// Keys as a platform team makes them: a name, limits, a budget, and something spent of it.
pub(super) fn write(dir: &Path, keys: u64) -> anyhow::Result<PathBuf> {
    let path = dir.join("LiteLLM_VerificationToken.csv");
    let mut file = BufWriter::new(File::create(&path)?);
    writeln!(file, "token,key_name,key_alias,spend,models,rpm_limit,tpm_limit,max_budget")?;
    for number in 0..keys {
        let token = hex::encode(Sha256::digest(key(number)));
        let shown = number % 10_000;
        writeln!(file, "{token},sk-...{shown:04},app-{number},0.5,{{}},600,100000,50")?;
    }
    file.flush()?;
    Ok(path)
}
