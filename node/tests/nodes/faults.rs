//! Of two things that are wrong with a request at once, the client is told the one that comes first in
//! the order of checks (docs/litellm.md, "Which of several faults is told").

use anyhow::Context;
use dunlin_cluster::{Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use futures::future::try_join_all;
use serde_json::{Map, Value, json};

use crate::harness::{self, SOON, Setup, deployment};

/// Where a fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Key,
    Team,
    Member,
    User,
    Organization,
    Tag,
    EndUser,
    Request,
}

struct Fault {
    part: Part,
    /// What it has there, as JSON.
    fields: &'static str,
    status: u16,
    /// The `type` of the error.
    kind: &'static str,
    /// What stands in the answer, as no other fault's does that is of the same type.
    told: &'static str,
}

const fn fault(
    part: Part,
    fields: &'static str,
    (status, kind, told): (u16, &'static str, &'static str),
) -> Fault {
    Fault { part, fields, status, kind, told }
}

const fn spent(part: Part, fields: &'static str, whose: &'static str) -> Fault {
    fault(part, fields, (422, "budget_exceeded", whose))
}

const fn unlisted(part: Part, fields: &'static str, kind: &'static str) -> Fault {
    fault(part, fields, (403, kind, "The requested model"))
}

const OTHER: &str = r#"{"models": ["other"]}"#;
const NO_MONEY: &str = r#"{"max_budget": 0}"#;

/// All faults, in the order in which they are told.
const FAULTS: &[Fault] = &[
    fault(Part::Key, r#"{"blocked": true}"#, (401, "auth_error", "Key is blocked")),
    fault(Part::Key, r#"{"duration": "1s"}"#, (401, "expired_key", "Expired Key")),
    fault(
        Part::Key,
        r#"{"allowed_routes": ["/v1/embeddings"]}"#,
        (403, "auth_error", "not allowed to call this route"),
    ),
    fault(Part::Team, r#"{"blocked": true}"#, (401, "auth_error", "Team=")),
    fault(Part::Request, r#"{"messages": null}"#, (400, "invalid_request_error", "messages")),
    fault(Part::EndUser, r#"{"blocked": true}"#, (401, "auth_error", "is blocked")),
    unlisted(Part::Key, OTHER, "key_model_access_denied"),
    unlisted(Part::Team, OTHER, "team_model_access_denied"),
    unlisted(Part::Organization, OTHER, "org_model_access_denied"),
    unlisted(Part::Member, OTHER, "team_member_model_access_denied"),
    unlisted(Part::User, OTHER, "user_model_access_denied"),
    unlisted(Part::EndUser, OTHER, "customer_model_access_denied"),
    fault(
        Part::Request,
        r#"{"model": "nobody"}"#,
        (400, "invalid_request_error", "Invalid model name"),
    ),
    spent(Part::Team, NO_MONEY, r#""entity_type":"team","#),
    spent(Part::Key, r#"{"budget_limits": [{"budget_duration": "1d", "max_budget": 0}]}"#, "1d"),
    spent(Part::Organization, NO_MONEY, r#""entity_type":"organization""#),
    spent(Part::Tag, NO_MONEY, r#""entity_type":"tag""#),
    spent(Part::Request, r#"{"model": "grouped"}"#, r#""entity_type":"model_access_group""#),
    spent(Part::User, NO_MONEY, r#""entity_type":"user""#),
    spent(Part::Member, r#"{"max_budget_in_team": 0}"#, r#""entity_type":"team_member""#),
    spent(Part::EndUser, NO_MONEY, r#""entity_type":"end_user""#),
    spent(Part::Key, NO_MONEY, r#"Max budget: 0.0","type""#),
    spent(
        Part::Key,
        r#"{"model_max_budget": {"chat": {"max_budget": 0}, "grouped": {"max_budget": 0}}}"#,
        "for the model",
    ),
    fault(Part::Key, r#"{"rpm_limit": 0}"#, (429, "throttling_error", "Rate limit exceeded")),
];

impl Fault {
    /// Whether one request can have both: a user bounds no team's key, and of a field there is one.
    fn goes_with(&self, other: &Self) -> bool {
        let personal = [self, other].iter().any(|fault| fault.part == Part::User);
        let shared =
            [self, other].iter().any(|fault| matches!(fault.part, Part::Team | Part::Member));
        let names = |fault: &Self| fields(fault).into_iter().map(|(name, _)| name);
        let alike =
            self.part == other.part && names(self).any(|name| names(other).any(|it| it == name));
        !(alike || personal && shared)
    }

    fn is_told(&self, reply: &Reply) -> bool {
        let error = harness::error_of(reply).expect("an error");
        reply.status == self.status && error["type"] == self.kind && reply.body.contains(self.told)
    }
}

fn fields(fault: &Fault) -> Map<String, Value> {
    serde_json::from_str(fault.fields).expect("an object")
}

/// What a part of a request with these faults has.
fn of(pair: [&Fault; 2], part: Part, own: Value) -> Value {
    let mut all = own.as_object().expect("an object").clone();
    for fault in pair {
        if fault.part == part {
            all.extend(fields(fault));
        }
    }
    Value::Object(all)
}

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let models = ["chat", "other", "grouped"]
        .map(|model| deployment(model, "openai/upstream-name", &mock.api_base()));
    let config = format!(
        "model_list:\n{}    model_info: {{access_groups: [spent]}}\nrouter_settings:\n  \
         num_retries: 0\n",
        models.concat()
    );
    let setup = harness::start_with(1, mock, config).await?;
    let path = "/access_group/spent/budget";
    let budget = json!({"max_budget": 0});
    let url = setup.cluster.url(0, path);
    let request = dunlin_cluster::http_client()?.put(url).bearer_auth(setup.cluster.client().key());
    let answer = request.json(&budget).send().await?;
    anyhow::ensure!(answer.status().is_success(), "{}", answer.text().await?);
    Ok(setup)
}

/// Makes whoever has the two faults, and waits for the answer to their request.
async fn ask(setup: &Setup, pair: [&Fault; 2], id: &str) -> anyhow::Result<()> {
    let has = |part| pair.iter().any(|fault| fault.part == part);
    let mut key = json!({"user_id": id});
    if has(Part::Organization) {
        let own = json!({"organization_id": id, "organization_alias": id});
        setup.admin(0, "/organization/new", of(pair, Part::Organization, own)).await?;
        key["organization_id"] = id.into();
    }
    setup
        .admin(
            0,
            "/user/new",
            of(pair, Part::User, json!({"user_id": id, "auto_create_key": false})),
        )
        .await?;
    if !has(Part::User) {
        let mut own =
            json!({"team_id": id, "members_with_roles": [{"role": "user", "user_id": id}]});
        if has(Part::Organization) {
            own["organization_id"] = id.into();
        }
        setup.admin(0, "/team/new", of(pair, Part::Team, own)).await?;
        key["team_id"] = id.into();
    }
    if has(Part::Member) {
        let own = json!({"team_id": id, "user_id": id});
        setup.admin(0, "/team/member_update", of(pair, Part::Member, own)).await?;
    }
    for (part, path, name) in
        [(Part::EndUser, "/customer/new", "user_id"), (Part::Tag, "/tag/new", "name")]
    {
        if has(part) {
            setup.admin(0, path, of(pair, part, json!({name: id}))).await?;
        }
    }
    let caller = setup.make_key(0, of(pair, Part::Key, key)).await?;
    let mut body = harness::chat_body();
    (body["user"], body["metadata"]) = (id.into(), json!({"tags": [id]}));
    let body = of(pair, Part::Request, body);
    // A key that expires does so in a moment.
    let mut last = None;
    let told = wait_until("the first fault is told", SOON, async || {
        let reply = setup.ask(0, &caller, &body).await.expect("an answer");
        last.insert(reply).status == pair[0].status && pair[0].is_told(last.as_ref().expect("it"))
    });
    told.await.with_context(|| format!("{}, not: {last:?}", pair[0].told))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_faults_the_first_in_order_is_told() -> anyhow::Result<()> {
    let setup = start().await?;
    for (at, first) in FAULTS.iter().enumerate() {
        let rest = FAULTS.iter().enumerate().skip(at + 1);
        let pairs = rest.filter(|(_, second)| first.goes_with(second));
        let asked = pairs.map(async |(number, second)| {
            let id = format!("f-{at}-{number}");
            let asked = ask(&setup, [first, second], &id).await;
            asked.with_context(|| {
                format!("{:?} {} and {:?} {}", first.part, first.fields, second.part, second.fields)
            })
        });
        try_join_all(asked).await?;
    }
    Ok(())
}
