//! `dunlin status`: the cluster as one node sees it.

use std::time::Duration;

use dunlin_admin_api::{
    BackendStatus, ClusterStatus, MemberRole, MemberStatus, RemovedMember, SecretStatus,
};

use crate::failure::Result;
use crate::session::Session;
use crate::table::{listed, moment, table};

/// A clock that is less off is nobody's concern.
const CLOCK_IS_OFF: Duration = Duration::from_millis(500);

pub(crate) async fn run(session: &Session) -> Result {
    let answer = session.get("/cluster/status", &[]).await?;
    let status: ClusterStatus = answer.read()?;
    session.show("dunlin.status/1", answer.read()?, &text(&status, &answer.url))
}

fn text(status: &ClusterStatus, url: &str) -> String {
    let none = || "none".to_owned();
    let members: Vec<_> = status.members.iter().map(member).collect();
    let backends: Vec<_> = status.backends.iter().map(backend).collect();
    let mut text = format!(
        "cluster          {}\nleader           {}, term {}\nconfig revision  {}\n\
         seen by          {} at {url}, dunlin {}, log applied up to {}\n\n{}",
        status.cluster.map_or_else(none, |cluster| cluster.to_string()),
        status.leader.map_or_else(none, |leader| leader.to_string()),
        status.term,
        status.config_revision,
        status.node,
        status.version,
        status.applied,
        table(["NODE", "ROLE", "STATE", " CONFIG", "CLIENTS AT", "NODES AT"], &members),
    );
    text.push('\n');
    if !status.removed.is_empty() {
        let removed: Vec<_> = status.removed.iter().map(removed).collect();
        text += &table(["REMOVED NODE", "AT", "BY", " WITHHELD", "WAS AT"], &removed);
        text.push('\n');
    }
    text += &secret(&status.secret);
    text += &if backends.is_empty() {
        "no backends: no config is in force on this node yet\n".to_owned()
    } else {
        let head = ["BACKEND", "STATE", " IN FLIGHT HERE", " IN THE CLUSTER", "MODELS"];
        table(head, &backends)
    };
    text
}

fn member(member: &MemberStatus) -> [String; 6] {
    let role = match member.role {
        MemberRole::Leader => "leader",
        MemberRole::Voter => "voter",
        MemberRole::Learner => "learner",
        MemberRole::Outside => "outside",
    };
    let mut state = match (member.alive, member.down, member.ready) {
        (false, true, _) => "down",
        (false, false, _) => "silent",
        (true, true, _) => "returning",
        (true, false, _) if member.draining => "draining",
        (true, false, false) => "not ready",
        (true, false, true) => "ready",
    }
    .to_owned();
    if member.other_master_key {
        state.push_str(", other master key");
    }
    let off = Duration::from_millis(member.clock_skew_ms.unsigned_abs());
    if off >= CLOCK_IS_OFF {
        let side = if member.clock_skew_ms > 0 { "ahead" } else { "behind" };
        state += &format!(", clock {:.1} s {side}", off.as_secs_f64());
    }
    let clients_at = member.api_address.clone().unwrap_or_else(|| "unknown".to_owned());
    let config = match member.config_revision {
        0 => "-".to_owned(),
        revision => revision.to_string(),
    };
    [member.id.to_string(), role.to_owned(), state, config, clients_at, member.address.clone()]
}

/// How far a change of the cluster secret has come; nothing while there is none.
fn secret(secret: &SecretStatus) -> String {
    let SecretStatus { current, previous, sealed_under_others: others, unknown_to } = secret;
    let Some(previous) = previous else {
        return match others {
            0 => String::new(),
            _ => format!(
                "{others} config revisions, models or credentials are sealed under a cluster secret \
                 that this node does not know: set DUNLIN_CLUSTER_SECRET_PREVIOUS to it\n\n"
            ),
        };
    };
    let state = if !unknown_to.is_empty() {
        let nodes: Vec<_> = unknown_to.iter().map(ToString::to_string).collect();
        format!("waits until it is known to {}", nodes.join(", "))
    } else if *others > 0 {
        format!(
            "{others} config revisions, models or credentials are still sealed under {previous}"
        )
    } else {
        format!("all is sealed under it: {previous} can be dropped on all nodes")
    };
    format!("cluster secret {current} takes the place of {previous}; {state}\n\n")
}

fn removed(node: &RemovedMember) -> [String; 5] {
    let RemovedMember { id, at, by, withheld_usd, address, .. } = node;
    [id.to_string(), moment(at), by.clone(), format!("${withheld_usd}"), address.clone()]
}

fn backend(backend: &BackendStatus) -> [String; 5] {
    [
        backend.backend.clone(),
        backend.state.clone(),
        backend.in_flight.to_string(),
        format!("{:.1}", backend.load),
        listed(&backend.models, "-"),
    ]
}
