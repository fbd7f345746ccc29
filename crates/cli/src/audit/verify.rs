//! `dunlin audit verify`: whether the log is as it was written.

use clap::Args;
use dunlin_admin_api::{AuditEntry, AuditProof};
use dunlin_types::ChainHash;

use crate::failure::{Exit, Result};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// A row and the hash noted for it; checks that the log still contains them.
    #[arg(long, value_name = "ROW:HASH", value_parser = noted)]
    noted: Option<(u64, ChainHash)>,
}

fn noted(text: &str) -> std::result::Result<(u64, ChainHash), String> {
    let parts = text.split_once(':');
    let read = |(row, hash): (&str, &str)| Some((row.parse().ok()?, hash.parse().ok()?));
    parts.and_then(read).ok_or_else(|| "expected ROW:HASH, as this command prints it".to_owned())
}

pub(super) async fn run(args: &VerifyArgs, session: &Session) -> Result<Exit> {
    let answer = session.get("/audit/verify", &[]).await?;
    let proof: AuditProof = answer.read()?;
    let noted = match &args.noted {
        Some((row, hash)) => Some((*row, hash_of(*row, &proof, session).await? == *hash)),
        None => None,
    };
    let mut json: crate::session::Object = answer.read()?;
    json.extend(noted.map(|(_, same)| ("noted_is_intact".to_owned(), same.into())));
    session.show("dunlin.audit.verify/1", json, &text(&proof, noted, &answer.url))?;
    let intact = proof.intact && noted.is_none_or(|(_, same)| same);
    Ok(if intact { Exit::Done } else { Exit::ProblemsFound })
}

/// The hash of the chain up to a row.
async fn hash_of(row: u64, proof: &AuditProof, session: &Session) -> Result<ChainHash> {
    if row == proof.dropped {
        return Ok(proof.anchor);
    }
    let answer = session.get(&format!("/audit/{row}"), &[]).await?;
    let entry: AuditEntry = answer.read()?;
    Ok(entry.hash)
}

fn text(proof: &AuditProof, noted: Option<(u64, bool)>, url: &str) -> String {
    let AuditProof { checked, dropped, newest, head, .. } = proof;
    let mut text = match proof.broken_at {
        None => format!("intact: rows {} to {newest}, {checked} in all, at {url}\n", dropped + 1),
        Some(row) => format!("BROKEN: row {row} was changed, or a row before it is missing\n"),
    };
    if *newest == *dropped {
        text = format!("intact: there are no rows at {url}\n");
    }
    if *dropped > 0 {
        text += &format!("rows up to {dropped} were dropped; the hash of the last one is kept\n");
    }
    match noted {
        Some((row, true)) => text += &format!("row {row} has the hash that was noted\n"),
        Some((row, false)) => text += &format!("BROKEN: row {row} has ANOTHER hash than noted\n"),
        None => {}
    }
    text + &format!("note this outside the cluster: {newest}:{head}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_that_is_printed_can_be_given() {
        let head = ChainHash::default().with("a row");
        let proof = AuditProof {
            intact: true,
            broken_at: None,
            checked: 2,
            dropped: 5,
            anchor: ChainHash::default(),
            newest: 7,
            head,
        };
        let told = text(&proof, Some((5, true)), "http://n1");
        assert!(told.starts_with("intact: rows 6 to 7, 2 in all"), "{told}");
        let (_, printed) = told.trim_end().rsplit_once(' ').expect("a hash");
        assert_eq!(noted(printed), Ok((7, head)));
        assert!(noted("7").is_err() && noted("7:12").is_err());
        let broken = AuditProof { intact: false, broken_at: Some(6), ..proof };
        assert!(text(&broken, None, "http://n1").starts_with("BROKEN: row 6"));
    }
}
