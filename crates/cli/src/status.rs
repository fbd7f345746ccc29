//! `dunlin status`: the cluster as one node sees it.

use std::time::Duration;

use dunlin_admin_api::{
    BackendStatus, ClusterStatus, LogFormat, MemberRole, MemberStatus, NoMajority, RemovedMember,
    SecretStatus,
};

use crate::failure::{Exit, Result};
use crate::session::Session;
use crate::table::{dollars, listed, moment, table};

/// Smaller differences are not shown.
const CLOCK_IS_OFF: Duration = Duration::from_millis(500);

/// How often the node is asked again that has not heard yet that another one is ready.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn run(session: &Session) -> Result<Exit> {
    let mut answer = session.get("/cluster/status", &[]).await?;
    let mut status: ClusterStatus = answer.read()?;
    for _ in 0..TRIES {
        // Nodes hear of each other by gossip, a moment after `dunlin health` had it from themselves.
        if !status.members.iter().any(|one| one.alive && !one.ready && !one.draining) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        answer = session.get("/cluster/status", &[]).await?;
        status = answer.read()?;
    }
    session.show("dunlin.status/1", answer.read()?, &text(&status, &answer.url))?;
    Ok(if status.no_majority.is_some() { Exit::Unavailable } else { Exit::Done })
}

fn text(status: &ClusterStatus, url: &str) -> String {
    let none = || "none".to_owned();
    let members: Vec<_> = status.members.iter().map(member).collect();
    let backends = backends(&status.backends);
    // The table has the address of the node that was asked, unless it was asked by another one.
    let own = status.members.iter().find(|member| member.id == status.node);
    let told = own.and_then(|own| own.api_address.as_deref()).unwrap_or("unknown");
    let is_told = url.split_once("://").is_some_and(|(_, address)| address == told);
    let at = if is_told { String::new() } else { format!(" at {url}") };
    let mut text = format!(
        "cluster          {}\nleader           {}, term {}\nconfig revision  {}\n\
         log format       {}\nseen by          {}{at}, dunlin {}, log applied up to {}\n\n{}",
        status.cluster.map_or_else(none, |cluster| cluster.to_string()),
        leader(status),
        status.term,
        status.config_revision,
        log_format(&status.log_format),
        status.node,
        status.version,
        status.applied,
        table(["NODE", "ROLE", "STATE", " CONFIG", "CLIENTS AT", "NODES AT"], &members),
    );
    text += &no_majority(status);
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
        let head = [
            "BACKENDS AT",
            "UPSTREAM MODEL",
            "STATE",
            " IN FLIGHT HERE",
            " IN THE CLUSTER",
            "MODELS",
        ];
        table(head, &backends)
    };
    text
}

fn leader(status: &ClusterStatus) -> String {
    match (&status.leader, &status.no_majority) {
        (Some(leader), _) => leader.to_string(),
        (None, None) => "none".to_owned(),
        (None, Some(lost)) => format!("none, no majority for {} s", lost.for_s),
    }
}

/// Which one is in force, and what a newer one waits for.
pub(crate) fn log_format(log: &LogFormat) -> String {
    let LogFormat { format, newest, held, waits_for } = log;
    if format >= newest {
        let next = if *held { "; the next one is held back" } else { "" };
        return format!("{format}{next}");
    }
    let nodes: Vec<_> = waits_for.iter().map(ToString::to_string).collect();
    let waits = match (waits_for.is_empty(), held) {
        (false, _) => format!("waits until these nodes know it: {}", nodes.join(", ")),
        (true, true) => "is held back: `dunlin cluster format --raise`".to_owned(),
        (true, false) => "is about to be in force".to_owned(),
    };
    format!("{format}; {newest} {waits}")
}

/// What it means that no majority is heard, and what to do; nothing while one is.
fn no_majority(status: &ClusterStatus) -> String {
    let Some(NoMajority { serves_for_s, .. }) = status.no_majority else { return String::new() };
    let voters = status.members.iter().filter(|member| member.role == MemberRole::Voter);
    let silent: Vec<_> =
        voters.clone().filter(|voter| !voter.alive).map(|voter| voter.address.as_str()).collect();
    let (all, missing) = (voters.count(), silent.len());
    let needed = all / 2 + 1;
    let chats = match serves_for_s {
        None => "it serves clients from the state it has".to_owned(),
        Some(0) => "it refuses clients with 503".to_owned(),
        Some(left) => format!(
            "it serves clients from the state it has for {left} s more (max_staleness), then \
             refuses them with 503"
        ),
    };
    let mend = if all - missing >= needed {
        "the voters hear each other by gossip: check their logs and the network between them"
            .to_owned()
    } else {
        format!(
            "start {} of the silent voters again: {}; if their disks are gone for good: `dunlin \
             recover`",
            needed - (all - missing),
            silent.join(", ")
        )
    };
    format!(
        "\nno majority: this node hears {} of {all} voters, {needed} are needed. Nothing can be \
         decided: changes are refused with 503\nclients: {chats}; keys with a budget only while \
         this node holds some of it\nto fix it: {mend}\n",
        all - missing
    )
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
    if member.other_prices {
        state.push_str(", other prices");
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
        format!("waiting until these nodes know it: {}", nodes.join(", "))
    } else if *others > 0 {
        format!(
            "{others} config revisions, models or credentials are still sealed under {previous}"
        )
    } else {
        format!("everything is sealed under it: {previous} can be removed on all nodes")
    };
    format!("cluster secret {current} replaces {previous}; {state}\n\n")
}

fn removed(node: &RemovedMember) -> [String; 5] {
    let RemovedMember { id, at, by, withheld_usd, address, .. } = node;
    [id.to_string(), moment(at), by.clone(), dollars(*withheld_usd), address.clone()]
}

/// An address is told once for all that is served there.
fn backends(all: &[BackendStatus]) -> Vec<[String; 6]> {
    let (mut rows, mut above) = (Vec::new(), "");
    for BackendStatus { backend: at, upstream_model, state, in_flight, load, models } in all {
        let told = if at == above { String::new() } else { at.clone() };
        above = at;
        rows.push([
            told,
            upstream_model.clone(),
            state.clone(),
            in_flight.to_string(),
            format!("{load:.1}"),
            listed(models, "-"),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use dunlin_types::NodeId;

    use super::*;

    fn status(alive: [bool; 3], no_majority: Option<NoMajority>) -> ClusterStatus {
        let member = |(number, alive)| MemberStatus {
            id: NodeId(number),
            address: format!("n{number}:4100"),
            api_address: None,
            role: MemberRole::Voter,
            alive,
            down: false,
            ready: alive,
            draining: false,
            config_revision: 1,
            clock_skew_ms: 0,
            other_master_key: false,
            other_prices: false,
        };
        ClusterStatus {
            node: NodeId(1),
            version: "0".to_owned(),
            cluster: None,
            leader: no_majority.is_none().then_some(NodeId(1)),
            no_majority,
            term: 7,
            applied: 9,
            config_revision: 1,
            log_format: LogFormat { format: 3, newest: 3, ..LogFormat::default() },
            members: (1..).zip(alive).map(member).collect(),
            removed: Vec::new(),
            secret: SecretStatus::default(),
            backends: Vec::new(),
        }
    }

    #[test]
    fn that_no_majority_is_heard_is_told_with_what_to_do() {
        let told = text(&status([true; 3], None), "http://h");
        assert!(told.contains("leader           0000000000000001, term 7\n"), "{told}");
        assert!(!told.contains("majority"), "{told}");

        let lost = NoMajority { for_s: 40, serves_for_s: Some(20) };
        let told = text(&status([true, false, false], Some(lost)), "http://h");
        for part in [
            "leader           none, no majority for 40 s, term 7\n",
            "hears 1 of 3 voters, 2 are needed",
            "for 20 s more",
            "start 1 of the silent voters again: n2:4100, n3:4100",
            "dunlin recover",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let refusing = NoMajority { for_s: 90, serves_for_s: Some(0) };
        let told = text(&status([true, true, false], Some(refusing)), "http://h");
        assert!(told.contains("it refuses clients with 503"), "{told}");
        assert!(told.contains("the network between them"), "{told}");
    }

    #[test]
    fn the_logs_format_is_told_with_what_a_newer_one_waits_for() {
        let of = |format, held, waits_for: &[u64]| {
            let waits_for = waits_for.iter().copied().map(NodeId).collect();
            log_format(&LogFormat { format, newest: 4, held, waits_for })
        };
        assert_eq!(of(4, false, &[]), "4");
        assert_eq!(of(5, true, &[]), "5; the next one is held back", "of a newer cluster");
        assert_eq!(of(3, false, &[]), "3; 4 is about to be in force");
        assert!(of(3, true, &[]).contains("held back: `dunlin cluster format --raise`"));
        assert!(of(3, true, &[2]).ends_with("waits until these nodes know it: 0000000000000002"));
        let told = text(&status([true; 3], None), "http://h");
        assert!(told.contains("log format       3\n"), "{told}");
    }

    #[test]
    fn an_address_is_told_once() {
        let backend = |(at, model): (&str, &str)| BackendStatus {
            backend: at.to_owned(),
            upstream_model: model.to_owned(),
            state: "ready".to_owned(),
            in_flight: 1,
            load: 2.0,
            models: vec!["chat".to_owned()],
        };
        let all = [("http://a/v1", "m"), ("http://a/v1", "n"), ("http://b/v1", "m")].map(backend);
        let shown: Vec<_> = backends(&all).into_iter().map(|row| row[..2].join("|")).collect();
        assert_eq!(shown, ["http://a/v1|m", "|n", "http://b/v1|m"]);
        let mut status = status([true; 3], None);
        status.members[0].api_address = Some("n1:4000".to_owned());
        let told = text(&status, "http://n1:4000");
        assert_eq!(told.matches("n1:4000").count(), 1, "{told}");
        assert!(text(&status, "http://lb").contains(" at http://lb, dunlin"));
    }
}
