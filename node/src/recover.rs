//! `dunlin recover`: continues from one survivor after more than half of the voters are lost for
//! good.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use dunlin_cli::Output;
use dunlin_consensus::{Position, Recovery};
use dunlin_seal::Sealer;
use dunlin_types::{ClusterId, Secret};
use serde_json::{Value, json};

use crate::config::{self, DEFAULT_DATA_DIR};
use crate::{Exit, clock, print};

/// What to recover, and whether to.
#[derive(Args, Debug)]
#[command(after_help = "\
Only for a cluster that can never have a majority again: two disks of three voters are lost, or
three of five. If they may come back, start them instead. Without --yes nothing is changed.

  1. Stop this node, and make sure that the lost nodes stay off.
  2. dunlin recover --data-dir DIR         on every survivor: how far its log reaches
  3. dunlin recover --data-dir DIR --yes CLUSTER
                                           on the one that reaches furthest
  4. Start it with the flags it had; start the others on empty data directories. They join it.
")]
pub(crate) struct RecoverArgs {
    /// The survivor's data directory. Its node must not run.
    #[arg(long, value_name = "DIR", env = "DUNLIN_DATA_DIR", default_value = DEFAULT_DATA_DIR)]
    data_dir: PathBuf,
    /// Do it. The value is the id of the lost cluster, which this command prints without `--yes`.
    #[arg(long, value_name = "CLUSTER")]
    yes: Option<String>,
    /// How far another survivor's log reaches, as this command prints it there. Refused if that
    /// survivor holds more. May be given several times.
    #[arg(long, value_name = "TERM/ENTRY", value_parser = position)]
    other: Vec<Position>,
    #[command(flatten)]
    output: Output,
}

/// Reports what would be lost, or recovers.
pub(crate) fn run(args: &RecoverArgs) -> anyhow::Result<Exit> {
    let recovery = Recovery::open(&args.data_dir, clock::system())?;
    let own = recovery.position();
    let print = |text: &str| {
        if !args.output.is_json() {
            print(text);
        }
    };
    print(&story(&recovery, &args.data_dir));
    if let Some(further) = args.other.iter().find(|other| **other > own) {
        bail!(
            "the other survivor's log reaches {}, this one's only {}: recover the other one",
            shown(*further),
            shown(own)
        );
    }
    check_secret(&recovery, args, &print)?;
    let Some(yes) = &args.yes else {
        print(&format!(
            "Nothing was changed. To continue with what this node holds:\n  dunlin recover \
             --data-dir {} --yes {}\n",
            args.data_dir.display(),
            recovery.cluster(),
        ));
        show(args, told(&recovery, &args.data_dir));
        return Ok(Exit::Done);
    };
    if yes.parse::<ClusterId>().ok() != Some(recovery.cluster()) {
        bail!("--yes {yes} is not the id of this node's cluster, {}", recovery.cluster());
    }
    let (node, old) = (recovery.node(), recovery.cluster());
    let mut json = told(&recovery, &args.data_dir);
    let cluster = recovery.carry_out()?;
    print(&format!(
        "Node {node} is now the only member of cluster {cluster}, with everything it held.\nThe \
         files of cluster {old} are kept in {}/before-recovery-of-{old}.\nStart it with the flags \
         it had, and the other nodes on empty data directories.\n",
        args.data_dir.display(),
    ));
    json["recovered_as"] = cluster.to_string().into();
    show(args, json);
    Ok(Exit::Done)
}

/// A reader that has left is no failure of ours.
fn show(args: &RecoverArgs, json: Value) {
    drop(args.output.show("dunlin.recover/1", json, ""));
}

/// For programs: what this node knows.
fn told(recovery: &Recovery, dir: &Path) -> Value {
    let state = recovery.state();
    let members: Vec<_> = recovery
        .members()
        .into_iter()
        .map(|known| {
            json!({
                "node": known.node.to_string(),
                "address": known.address,
                "votes": known.votes,
                "survives": known.survives,
            })
        })
        .collect();
    json!({
        "data_dir": dir.display().to_string(),
        "node": recovery.node().to_string(),
        "cluster": recovery.cluster().to_string(),
        "position": shown(recovery.position()),
        "written": recovery.written().to_string(),
        "heard": recovery.heard(),
        "undecided": recovery.undecided(),
        "keys": state.keys().count(),
        "config_revision": state.config().map_or(0, |config| config.revision),
        "members": members,
        "recovered_as": null,
    })
}

/// What this node knows, and what nobody will know any more.
fn story(recovery: &Recovery, dir: &Path) -> String {
    let state = recovery.state();
    let heard = recovery.heard().unwrap_or_else(|| "never".to_owned());
    let mut text = format!(
        "data directory  {}\nnode            {}\ncluster         {}\n\
         log reaches to  {}, last command at {}\n\
         knew all        at {heard}, to 10 s\n\
         holds           {} keys, config revision {}\n",
        dir.display(),
        recovery.node(),
        recovery.cluster(),
        shown(recovery.position()),
        recovery.written(),
        state.keys().count(),
        state.config().map_or(0, |config| config.revision),
    );
    for known in recovery.members() {
        let role = if known.votes { "voter  " } else { "learner" };
        let fate = if known.survives { "this node" } else { "lost: never comes back as it was" };
        text += &format!("{role}         {} at {}: {fate}\n", known.node, known.address);
    }
    let undecided = recovery.undecided();
    if undecided > 0 {
        text += &format!(
            "This node does not know whether the last {undecided} entries of its log are \
             committed. They are kept, so a change that was never acknowledged may take effect.\n"
        );
    }
    text + "Whatever the other nodes acknowledged after the last entry here is lost: keys, blocks, \
            budgets, config. Budget money that the lost nodes were granted is withheld until it is \
            reclaimed (dunlin cluster reclaim) or the budgets' periods end.\nIf a second node \
            survived, run this there too and recover the one that reaches further; start the other \
            one on an empty data directory.\n"
}

/// A survivor whose config cannot be opened is of no use, and the operator should hear it now.
fn check_secret(
    recovery: &Recovery,
    args: &RecoverArgs,
    print: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let Some(config) = recovery.state().config().filter(|config| !config.sealed.is_empty()) else {
        return Ok(());
    };
    let environment = config::environment();
    let own = || fs::read_to_string(args.data_dir.join("secret")).ok().map(Secret::new);
    let named = environment.get("DUNLIN_CLUSTER_SECRET").map(Secret::new);
    let Some(secret) = named.or_else(own) else {
        if args.yes.is_some() {
            bail!(
                "DUNLIN_CLUSTER_SECRET is not set: nothing was changed. Set it to the cluster's \
                 secret, to make sure that the config can be opened"
            );
        }
        print(
            "DUNLIN_CLUSTER_SECRET is not set, so it was not checked whether it opens the \
               config.\n",
        );
        return Ok(());
    };
    if Sealer::new(&secret.into()).open(&config.sealed).is_err() {
        bail!(
            "config revision {} is sealed under another cluster secret than DUNLIN_CLUSTER_SECRET: \
             set it to the cluster's secret",
            config.revision
        );
    }
    Ok(())
}

fn shown(position: Position) -> String {
    format!("{}/{}", position.term, position.index)
}

fn position(text: &str) -> Result<Position, String> {
    let parts = text.split_once('/').and_then(|(term, index)| {
        Some(Position { term: term.trim().parse().ok()?, index: index.trim().parse().ok()? })
    });
    parts.ok_or_else(|| "expected TERM/ENTRY, such as 3/1204".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_term_reaches_further_than_a_longer_log() {
        let of = |text: &str| position(text).expect("a position");
        assert!(of("3/10") > of("2/900") && of("3/11") > of("3/10"));
        assert_eq!(shown(of("3/10")), "3/10");
        for text in ["", "3", "3/", "a/b"] {
            assert!(position(text).is_err(), "{text}");
        }
    }
}
