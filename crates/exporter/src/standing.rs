//! What is looked up when the page is read: how deployments stand, what may be spent and what is left.
//! Budgets are replicated, so each node tells the same of them.

use std::sync::Arc;

use dunlin_ledger::{Length, Period};
use dunlin_metrics::{Desc, Page};
use dunlin_router::Deployment;
use dunlin_state::{Entity, Kind, PROVIDERS, State, Terms};
use dunlin_types::{EntityId, Line, NanoUsd, PotId, UnixMillis};
use dunlin_upstream::{Condition, Upstream};

use crate::labels::Source;

const DEPLOYMENT: &[&str] = &["litellm_model_name", "model_id", "api_base", "api_provider"];
const LIMITED: &[&str] =
    &["litellm_model_name", "model_id", "api_base", "api_provider", "model_group"];

static STATE: Desc = Desc::gauge(
    "litellm_deployment_state",
    "This node's view of a deployment: 0 healthy, 1 failed within the last minute, 2 gets no \
     requests.",
    DEPLOYMENT,
);
static COOLED: Desc = Desc::counter(
    "litellm_deployment_cooled_down_total",
    "How often this node has put a deployment into cooldown, by the status that caused it.",
    &["litellm_model_name", "model_id", "api_base", "api_provider", "exception_status"],
);
static RPM: Desc = Desc::gauge(
    "litellm_deployment_rpm_limit",
    "A deployment's limit of requests a minute, if configured.",
    LIMITED,
);
static TPM: Desc = Desc::gauge(
    "litellm_deployment_tpm_limit",
    "A deployment's limit of tokens a minute, if configured.",
    LIMITED,
);
static USERS: Desc = Desc::gauge("litellm_total_users", "Number of users.", &[]);
static TEAMS: Desc = Desc::gauge("litellm_teams_count", "Number of teams.", &[]);
static PROVIDER: Desc = Desc::gauge(
    "litellm_provider_remaining_budget_metric",
    "What is left of a provider's budget, in dollars, without money on nodes that do not serve.",
    &["api_provider"],
);

/// What is told of the budgets of one kind of holder, if it has one.
struct OfBudgets {
    most: Desc,
    left: Desc,
    hours: Desc,
}

const HOURS: &str = "Hours until the budget resets, if it does.";
const MOST: &str = "The budget for a period, in dollars.";
const LEFT: &str =
    "What is left of the budget, without money on nodes that do not serve; negative if overspent.";

macro_rules! of_budgets {
    ($name:literal, $labels:expr) => {
        OfBudgets {
            most: Desc::gauge(concat!("litellm_", $name, "_max_budget_metric"), MOST, $labels),
            left: Desc::gauge(
                concat!("litellm_remaining_", $name, "_budget_metric"),
                LEFT,
                $labels,
            ),
            hours: Desc::gauge(
                concat!("litellm_", $name, "_budget_remaining_hours_metric"),
                HOURS,
                $labels,
            ),
        }
    };
}

static KEYS: OfBudgets = of_budgets!("api_key", &["hashed_api_key", "api_key_alias"]);
static OF_TEAMS: OfBudgets = of_budgets!("team", &["team", "team_alias"]);
static OF_USERS: OfBudgets = of_budgets!("user", &["user"]);
static ORGANIZATIONS: OfBudgets = of_budgets!("org", &["org_id", "org_alias"]);
static CUSTOMERS: OfBudgets = of_budgets!("customer", &["end_user"]);

/// The metrics of this file.
pub(crate) static METRICS: &[&Desc] = &[
    &STATE,
    &COOLED,
    &RPM,
    &TPM,
    &USERS,
    &TEAMS,
    &PROVIDER,
    &KEYS.most,
    &KEYS.left,
    &KEYS.hours,
    &OF_TEAMS.most,
    &OF_TEAMS.left,
    &OF_TEAMS.hours,
    &OF_USERS.most,
    &OF_USERS.left,
    &OF_USERS.hours,
    &ORGANIZATIONS.most,
    &ORGANIZATIONS.left,
    &ORGANIZATIONS.hours,
    &CUSTOMERS.most,
    &CUSTOMERS.left,
    &CUSTOMERS.hours,
];

pub(crate) fn report(source: &Source<'_>, upstream: &Upstream, now: UnixMillis, page: &mut Page) {
    deployments(source, upstream, page);
    let state = source.state;
    page.level(&USERS, &[], state.entities(Kind::User).count());
    page.level(&TEAMS, &[], state.entities(Kind::Team).count());
    budgets(source, now, page);
}

fn budgets(source: &Source<'_>, now: UnixMillis, page: &mut Page) {
    providers(source, now, page);
    let state = source.state;
    let mut budgets = Budgets { source, now, page };
    for key in state.keys() {
        let alias = key.alias.as_deref().unwrap_or(NONE);
        let labels = || [key.token.to_string(), alias.to_owned()];
        budgets.tell(&KEYS, key.id, &key.terms, labels);
    }
    budgets.entities(&OF_TEAMS, Kind::Team, |team| [name(team), alias(team)]);
    budgets.entities(&OF_USERS, Kind::User, |user| [name(user)]);
    budgets.entities(&ORGANIZATIONS, Kind::Organization, |one| [name(one), alias(one)]);
    if source.serving.settings.end_users {
        budgets.entities(&CUSTOMERS, Kind::EndUser, |user| [name(user)]);
    }
}

const NONE: &str = "None";

fn name(entity: &Entity) -> String {
    entity.name.clone()
}

fn alias(entity: &Entity) -> String {
    entity.alias.clone().unwrap_or_else(|| NONE.to_owned())
}

fn deployments(source: &Source<'_>, upstream: &Upstream, page: &mut Page) {
    let catalog = &source.serving.catalog;
    for (deployment, condition) in upstream.conditions(catalog) {
        let labels = of_deployment(&deployment);
        let state: u8 = match condition {
            Condition::Well => 0,
            Condition::Failing => 1,
            Condition::Out => 2,
        };
        page.level(&STATE, &labels, state);
        let [model, id, base, provider] = labels;
        for (status, times) in upstream.cooled_down(&deployment.id) {
            page.count(&COOLED, &[model, id, base, provider, &status.to_string()], times);
        }
        let labels = [model, id, base, provider, &*deployment.group];
        for (desc, limit) in [(&RPM, deployment.limits.requests), (&TPM, deployment.limits.tokens)]
        {
            if let Some(limit) = limit {
                page.level(desc, &labels, limit);
            }
        }
    }
}

fn of_deployment(deployment: &Deployment) -> [&str; 4] {
    let target = &deployment.target;
    [&*target.model, &*deployment.id.0, &*target.api_base, &*deployment.provider]
}

/// A provider's period begins with its first use; one that is over has all of its budget again.
fn providers(source: &Source<'_>, now: UnixMillis, page: &mut Page) {
    for (provider, allowance) in &source.serving.catalog.provider_budgets {
        let pot = PotId { of: PROVIDERS, line: Line::Model(provider.to_string()) };
        let (spent, begun) = source.state.spend(&pot);
        let length = allowance.every.as_ref().and_then(|every| Length::of_period(every).ok());
        let period = length.and_then(|length| length.rolling(begun, now).ok());
        let is_over = period.is_some_and(|period| period.start != begun);
        let gone = if is_over { NanoUsd::ZERO } else { spent + source.state.withheld(&pot) };
        page.gauge(&PROVIDER, &[provider], allowance.most.as_usd() - gone.as_usd());
    }
}

/// Tells of budgets.
struct Budgets<'a> {
    source: &'a Source<'a>,
    now: UnixMillis,
    page: &'a mut Page,
}

impl Budgets<'_> {
    fn entities<const N: usize>(
        &mut self,
        of: &'static OfBudgets,
        kind: Kind,
        labels: impl Fn(&Entity) -> [String; N],
    ) {
        let all: Vec<Arc<Entity>> = self.source.state.entities(kind).map(Arc::clone).collect();
        for entity in all {
            self.tell(of, entity.id, &entity.terms, || labels(&entity));
        }
    }

    fn tell<const N: usize>(
        &mut self,
        of: &'static OfBudgets,
        id: EntityId,
        terms: &Terms,
        labels: impl Fn() -> [String; N],
    ) {
        let state = self.source.state;
        let Some(most) = limit(state, id, terms, self.now) else { return };
        let labels = labels();
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        let period = self.running(terms);
        let pot = PotId { of: id, line: Line::Main };
        let (spent, since) = state.spend(&pot);
        // What was spent without periods counts for the first one.
        let over = |period: &Period| since > UnixMillis(0) && since < period.start;
        let is_over = period.as_ref().is_some_and(over);
        let gone = if is_over { NanoUsd::ZERO } else { spent + state.withheld(&pot) };
        self.page.gauge(&of.most, &labels, most.as_usd());
        self.page.gauge(&of.left, &labels, most.as_usd() - gone.as_usd());
        if let Some(period) = period {
            let left = period.end.0.saturating_sub(self.now.0);
            let hours = std::time::Duration::from_millis(left).as_secs_f64() / 3600.0;
            self.page.gauge(&of.hours, &labels, hours);
        }
    }

    fn running(&self, terms: &Terms) -> Option<Period> {
        let shared = shared(self.source.state, terms);
        let shared = shared.and_then(|budget| budget.terms.renewal());
        let every = terms.renewal().or(shared)?.read()?;
        Some(self.source.serving.settings.calendar.period(every, self.now))
    }
}

/// The main budget, its own or a shared one's.
fn limit(state: &State, id: EntityId, terms: &Terms, now: UnixMillis) -> Option<NanoUsd> {
    if terms.max_budget.is_none() && terms.budget_id.is_none() {
        return None;
    }
    let pot = PotId { of: id, line: Line::Main };
    state.payer_of(&pot)?.limit(&Line::Main, now)
}

fn shared<'a>(state: &'a State, terms: &Terms) -> Option<&'a Arc<Entity>> {
    state.entity(Kind::Budget, terms.budget_id.as_deref()?)
}

#[cfg(test)]
mod tests {
    use dunlin_ledger::Allowance;
    use dunlin_metrics::Metrics;
    use dunlin_state::{Command, CommandId, Entry, Grant, Key};
    use dunlin_types::{Epoch, KeyDigest, NodeId};

    use super::*;
    use crate::Serving;

    const KEYS: EntityId = EntityId(1_000);

    /// A node that was granted half of a budget of 8 millionths, and half of a provider's.
    fn granted() -> Vec<Command> {
        let (node, epoch) = (NodeId(1), Epoch(1));
        let mut key = Key { token: KeyDigest::of("sk-a"), ..Key::default() };
        key.terms.max_budget = Some(NanoUsd(8_000));
        let grant = |pot, limit| Grant {
            pot,
            period: UnixMillis(0),
            least: NanoUsd(0),
            amount: NanoUsd(4_000),
            limit,
            window: None,
            carries: None,
        };
        let main = PotId { of: KEYS, line: Line::Main };
        let of_provider = PotId { of: PROVIDERS, line: Line::Model("openai".to_owned()) };
        let grants = vec![grant(main, None), grant(of_provider, Some(NanoUsd(8_000)))];
        vec![
            Command::AddNode { node, address: "n1:4100".to_owned() },
            Command::CreateKey { key: Box::new(key) },
            Command::Lease { node, epoch, number: 1, returns: Vec::new(), grants },
        ]
    }

    #[tokio::test]
    async fn what_a_dead_node_has_of_a_budget_is_not_left_and_the_most_is_as_it_was() {
        for (then, left) in [(vec![], 8e-6), (vec![Command::MarkDown { node: NodeId(1) }], 4e-6)] {
            let mut state = State::new();
            for (sequence, command) in (1..).zip(granted().into_iter().chain(then)) {
                let id = CommandId { node: NodeId(1), epoch: Epoch(1), seq: sequence };
                let entry = Entry { id, actor: None, command };
                state.apply(sequence, UnixMillis(1), &entry).expect("applied");
            }
            let mut serving = Serving { catalog: Arc::default(), settings: Default::default() };
            let most = Allowance { most: NanoUsd(8_000), every: None };
            let catalog = Arc::make_mut(&mut serving.catalog);
            catalog.provider_budgets.insert("openai".into(), most);
            let metrics = Metrics::default();
            metrics.add(move |page| {
                budgets(&Source { state: &state, serving: &serving }, UnixMillis(1), page);
            });
            let page = metrics.page().await.expect("a turn");
            let page = std::str::from_utf8(&page).expect("text");
            let told = |name: &str| {
                let line = page.lines().find(|line| line.starts_with(name));
                let value = line.and_then(|line| line.rsplit_once(' ')).expect("it is told").1;
                value.parse::<f64>().expect("a number")
            };
            let is = |name: &str, usd: f64| assert!((told(name) - usd).abs() < 1e-12, "{page}");
            is("litellm_api_key_max_budget_metric", 8e-6);
            is("litellm_remaining_api_key_budget_metric", left);
            is("litellm_provider_remaining_budget_metric", left);
        }
    }
}
