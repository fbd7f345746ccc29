//! `dunlin cluster`: the members of the cluster.

use clap::{Args, Subcommand};
use dunlin_admin_api::{ClusterStatus, LogFormat, RemovedMember};
use dunlin_types::NodeId;
use serde::Deserialize;
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::session::Session;
use crate::status;
use crate::table::dollars;
use crate::target::{NamedKey, Target, With};
use crate::terminal::Deed;

/// What can be done with the members of a cluster.
#[derive(Subcommand, Debug)]
#[command(after_help = "\
A node that is down for a while needs none of this: start it again on its data directory.

A node that is gone for good:
  dunlin status                            its id, and that it is down
  dunlin cluster remove NODE               the others continue without it; its id is never reused
  dunlin cluster reclaim NODE              frees its budget money that will never be settled

A node that is still there: stop it first (SIGTERM), so that it finishes and settles everything.
More than half of the voters gone for good: dunlin recover --help
")]
pub enum ClusterCommand {
    /// Show the cluster: the same as `dunlin status`.
    Status(Target),
    /// Remove a node for good; it is refused if it comes back.
    Remove(With<RemoveArgs>),
    /// Show the replicated log's format, hold it back, or have it raised: when all nodes run a newer
    /// version it is raised by itself, and from then on no older version can join or come back.
    Format(With<FormatArgs>),
    /// Free the budget money that a removed node was granted and has not settled.
    Reclaim(With<ReclaimArgs>),
}

#[derive(Args, Debug)]
pub struct RemoveArgs {
    /// The node's id, the beginning of it, or its cluster address, as `dunlin status` shows them.
    node: String,
    /// Remove it even if it is alive: it finishes its open requests, but its last spend may stay
    /// unsettled.
    #[arg(long)]
    force: bool,
    /// Free its budget money at once: its disk is lost, so its last spend will never be settled.
    #[arg(long)]
    reclaim: bool,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct FormatArgs {
    /// Do not raise it until somebody says so: you can still go back to the older version.
    #[arg(long)]
    hold: bool,
    /// Raise it as soon as all members know a newer one, now and in the future.
    #[arg(long)]
    raise: bool,
}

#[derive(Args, Debug)]
pub struct ReclaimArgs {
    /// The node's id, the beginning of it, or its cluster address, as `dunlin status` shows them.
    node: String,
    #[command(flatten)]
    of: Of,
}

/// Whose budgets.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct Of {
    /// Only this key's budget: its text or its hash. The node need not be removed, but must be
    /// down.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only this team's budget.
    #[arg(long, value_name = "TEAM_ID")]
    team: Option<String>,
    /// Only this user's budget.
    #[arg(long, value_name = "USER_ID")]
    user: Option<String>,
    /// Only this organization's budget.
    #[arg(long, value_name = "ORGANIZATION_ID")]
    organization: Option<String>,
    /// Only this end user's budget.
    #[arg(long, value_name = "USER_ID")]
    customer: Option<String>,
    /// Only this tag's budget.
    #[arg(long, value_name = "NAME")]
    tag: Option<String>,
    /// Only this access group's budget.
    #[arg(long, value_name = "NAME")]
    access_group: Option<String>,
}

impl Of {
    /// The field that names it, and its value.
    fn field(&self) -> Option<(&'static str, &str)> {
        let fields = [
            ("key", &self.key),
            ("team_id", &self.team),
            ("user_id", &self.user),
            ("organization_id", &self.organization),
            ("end_user_id", &self.customer),
            ("tag", &self.tag),
            ("access_group", &self.access_group),
        ];
        fields.into_iter().find_map(|(field, value)| Some((field, value.as_deref()?)))
    }
}

#[derive(Deserialize)]
struct Removed {
    removed: RemovedMember,
    #[serde(default)]
    was_removed_before: bool,
    #[serde(default)]
    left_the_consensus: bool,
}

#[derive(Deserialize)]
struct Reclaimed {
    reclaimed_usd: f64,
}

pub(crate) async fn run(command: &ClusterCommand, key: Option<NamedKey>) -> Result<Exit> {
    match command {
        ClusterCommand::Status(target) => return status::run(&target.open(key)?).await,
        ClusterCommand::Remove(With { own, target }) => remove(own, &target.open(key)?).await?,
        ClusterCommand::Format(With { own, target }) => format(own, &target.open(key)?).await?,
        ClusterCommand::Reclaim(With { own, target }) => reclaim(own, &target.open(key)?).await?,
    }
    Ok(Exit::Done)
}

async fn remove(args: &RemoveArgs, session: &Session) -> Result {
    let (node, address) = find(session, &args.node).await?;
    let (id, what) = (node.to_string(), format!("remove node {node}"));
    let warning = format!("Node {node} at {address} will never come back under this id.");
    Deed { warning: &warning, what: &what, name: &id }.confirm(args.yes)?;
    let body = json!({"node": node, "force": args.force, "reclaim": args.reclaim});
    let answer = session.post_repeatable("/cluster/remove", &body).await?;
    let told: Removed = answer.read()?;
    session.say(&if told.was_removed_before {
        format!("node {node} was already removed, by {} at {}", told.removed.by, told.removed.at)
    } else {
        format!("removed node {node} at {address}; if it comes back, it is refused")
    });
    if !told.left_the_consensus {
        session.say("the leader is still removing it from the Raft members: see `dunlin status`");
    }
    if told.removed.withheld_usd > 0.0 {
        session.say(&format!(
            "{} of budget money are withheld: the node was granted them, and what it spent last \
             is not known. They are free when the budgets' periods end, or at once with `dunlin \
             cluster reclaim {node}`",
            dollars(told.removed.withheld_usd)
        ));
    }
    session.show("dunlin.cluster.remove/1", answer.read()?, "")
}

async fn format(args: &FormatArgs, session: &Session) -> Result {
    let log: LogFormat = if args.hold || args.raise {
        let body = json!({"hold": args.hold});
        session.post_repeatable("/cluster/format", &body).await?.read()?
    } else {
        session.get("/cluster/status", &[]).await?.read::<ClusterStatus>()?.log_format
    };
    let text = format!("log format {}\n", status::log_format(&log));
    let shown = serde_json::from_value(json!(log)).expect("a struct is an object");
    session.show("dunlin.cluster.format/1", shown, &text)
}

async fn reclaim(args: &ReclaimArgs, session: &Session) -> Result {
    let (node, _) = find(session, &args.node).await?;
    let mut body = json!({"node": node});
    if let Some((field, value)) = args.of.field() {
        body[field] = value.into();
    }
    let answer = session.post_repeatable("/cluster/reclaim", &body).await?;
    let told: Reclaimed = answer.read()?;
    session.say(&format!(
        "freed {} of budget money that node {node} was \
                          granted",
        dollars(told.reclaimed_usd)
    ));
    session.show("dunlin.cluster.reclaim/1", answer.read()?, "")
}

/// The one node, present or removed, that a text names, and its address.
async fn find(session: &Session, named: &str) -> Result<(NodeId, String)> {
    let answer = session.get("/cluster/status", &[]).await?;
    let status: ClusterStatus = answer.read()?;
    let members = status.members.iter().map(|member| (member.id, &member.address));
    let removed = status.removed.iter().map(|member| (member.id, &member.address));
    pick(members, named)
        .and_then(|found| found.map_or_else(|| pick(removed, named), |one| Ok(Some(one))))?
        .ok_or_else(|| {
            let message = format!("`{named}` is not and was not a member");
            Failure::new(Exit::NotFound, message, "`dunlin status` lists the nodes")
        })
}

fn pick<'a>(
    nodes: impl Iterator<Item = (NodeId, &'a String)>,
    named: &str,
) -> Result<Option<(NodeId, String)>> {
    let fits = |id: &NodeId, address: &str| {
        (!named.is_empty() && id.to_string().starts_with(named)) || address == named
    };
    let mut found = nodes.filter(|(id, address)| fits(id, address));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some((id, address)), None) => Ok(Some((id, address.clone()))),
        (Some(_), Some(_)) => {
            let message = format!("`{named}` matches several nodes");
            Err(Failure::usage(message, "give more of the id, as `dunlin status` shows it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_its_id_the_beginning_of_it_or_its_address() {
        let addresses = ["n1:4100".to_owned(), "n2:4100".to_owned()];
        let nodes = || [NodeId(0xa1 << 56), NodeId(0xa2 << 56)].into_iter().zip(&addresses);
        let of = |named: &str| pick(nodes(), named).map(|found| found.map(|(id, _)| id));
        let second = Some(NodeId(0xa2 << 56));
        for named in ["a200000000000000", "a2", "n2:4100"] {
            assert_eq!(of(named).ok(), Some(second), "{named}");
        }
        for named in ["b", "n3:4100", ""] {
            assert_eq!(of(named).ok(), Some(None), "{named}");
        }
        assert!(of("a").is_err(), "it could be either");
    }
}
