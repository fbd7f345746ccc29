//! Whose terms hold for a request: the key's, and those of everyone it spends for.

mod pots;
mod ruled;

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_types::{EntityId, Line, NanoUsd, OnLoss, PotId, Served, UnixMillis};

use crate::command::{Entity, Key, Kind, Member, Renewal, Terms};
use crate::state::State;

pub use pots::{is_of_config, is_rolling};

/// Every request's payer: the cluster as a whole.
pub const PROXY: EntityId = EntityId(1);
/// Has a pot for each provider with a budget in the config, as a model's.
pub const PROVIDERS: EntityId = EntityId(2);
/// Has a pot for each deployment with a budget in the config, as a model's.
pub const DEPLOYMENTS: EntityId = EntityId(3);
/// Has a pot for each tag with a budget in the config, as a model's.
pub const TAGS: EntityId = EntityId(4);
/// How a limit that holds only while the model fails is written in the fields that are kept as text.
const DYNAMIC: &str = "\"dynamic\"";
/// The field that is kept as text and says how many tokens of batches may be made a day.
const TPD: &str = "tpd_limit";
/// How long it says that answers are, if their requests do not: of all models, and of single ones.
const OUTPUT: &str = "default_estimated_output_tokens";
const MODEL_OUTPUT: &str = "default_estimated_output_tokens_per_model";
/// Numbers from here on are those of rows.
pub(crate) const FIRST_ROW: u64 = 1_000;

/// What a payer is, in the order in which budgets and limits are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The key's team.
    Team,
    /// The key's or its team's organization.
    Organization,
    /// A tag of the request.
    Tag,
    /// An access group of the model that is asked for.
    AccessGroup,
    /// The user whose key it is. A team's key is charged to its user, who does not bind it.
    User,
    /// The user in the key's team.
    Member,
    /// The user in the organization that pays.
    OrganizationMember,
    /// Whom the request names as its user.
    EndUser,
    /// The key itself.
    Key,
}

/// One whose terms hold for a request. A clone is a few pointers.
#[derive(Clone, Debug)]
pub struct Payer {
    /// What it is.
    pub rank: Rank,
    row: Row,
    /// The shared terms it refers to.
    budget: Option<Arc<Entity>>,
    binds: Binds,
    /// Once its main budget is spent: what is left of its limits, in millionths.
    throttled: Option<u32>,
}

/// What of a payer's terms holds for a request, the least first. It is charged in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Binds {
    Nothing,
    Budgets,
    All,
}

#[derive(Clone, Debug)]
enum Row {
    Key(Arc<Key>),
    Entity(Arc<Entity>),
    Member(Arc<Entity>, Arc<Member>),
}

/// One budget of a payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget<'a> {
    /// Where what it allows is counted.
    pub pot: PotId,
    /// The most that may be spent in a period.
    pub limit: NanoUsd,
    /// How often it begins anew; without it, never.
    pub renewal: Option<Renewal<'a>>,
    /// A request that could spend more than is left is refused.
    pub strict: bool,
}

impl State {
    /// Whose terms hold for a key's requests, the key last.
    #[must_use]
    pub fn payers(&self, key: &Arc<Key>) -> Vec<Payer> {
        let named = |rank, kind, name: Option<&String>| {
            Some(self.payer(rank, Row::Entity(Arc::clone(self.entity(kind, name?)?))))
        };
        let team = key.team.as_ref().and_then(|name| self.entity(Kind::Team, name));
        let organization =
            key.organization.as_ref().or_else(|| team.and_then(|team| team.organization.as_ref()));
        let member = || {
            let member = self.member(Kind::Team, &team?.name, key.user.as_ref()?)?;
            Some(self.payer(Rank::Member, Row::Member(Arc::clone(team?), Arc::clone(member))))
        };
        let organization_member = || {
            let group = self.entity(Kind::Organization, organization?)?;
            let member = self.member(Kind::Organization, &group.name, key.user.as_ref()?)?;
            let row = Row::Member(Arc::clone(group), Arc::clone(member));
            Some(self.payer(Rank::OrganizationMember, row))
        };
        let user = || {
            let user = named(Rank::User, Kind::User, key.user.as_ref())?;
            let binds = if key.team.is_none() { Binds::All } else { Binds::Nothing };
            Some(Payer { binds, ..user })
        };
        let payers = [
            named(Rank::Team, Kind::Team, key.team.as_ref()),
            named(Rank::Organization, Kind::Organization, organization),
            user(),
            member(),
            organization_member(),
            Some(self.payer(Rank::Key, Row::Key(Arc::clone(key)))),
        ];
        payers.into_iter().flatten().collect()
    }

    /// What a request brings along: its end user and its tags, as far as they have terms. Goes where
    /// it is checked. `default` holds for an end user whose row names no budget.
    pub fn add_payers(
        &self,
        payers: &mut Vec<Payer>,
        end_user: Option<&str>,
        tags: &[String],
        default: Option<&Arc<Entity>>,
    ) {
        let tags = tags.iter().map(|tag| (Rank::Tag, self.entity(Kind::Tag, tag)));
        let end_user = end_user.and_then(|name| self.entity(Kind::EndUser, name));
        for (rank, entity) in tags.chain([(Rank::EndUser, end_user)]) {
            let Some(entity) = entity else { continue };
            let payer = self.payer(rank, Row::Entity(Arc::clone(entity)));
            insert(payers, payer.with_default(default));
        }
    }

    /// The access groups of the model that is asked for, as far as they have terms. Each goes where it
    /// is checked.
    pub fn add_access_groups<'n>(
        &self,
        payers: &mut Vec<Payer>,
        groups: impl IntoIterator<Item = &'n str>,
    ) {
        for name in groups {
            if let Some(entity) = self.entity(Kind::AccessGroup, name) {
                let row = Row::Entity(Arc::clone(entity));
                insert(payers, self.payer(Rank::AccessGroup, row));
            }
        }
    }

    fn payer(&self, rank: Rank, row: Row) -> Payer {
        let budget_id = match &row {
            Row::Key(key) => key.terms.budget_id.as_ref(),
            Row::Entity(entity) => entity.terms.budget_id.as_ref(),
            Row::Member(team, member) => {
                member.terms.budget_id.as_ref().or(team.member.budget_id.as_ref())
            }
        };
        let budget = budget_id.and_then(|name| self.entity(Kind::Budget, name)).cloned();
        Payer { rank, row, budget, binds: Binds::All, throttled: None }
    }
}

fn insert(payers: &mut Vec<Payer>, payer: Payer) {
    let at = payers.partition_point(|other| other.rank <= payer.rank);
    payers.insert(at, payer);
}

impl Payer {
    /// The same with `default` for its shared terms, if it is an end user without.
    #[must_use]
    pub fn with_default(mut self, default: Option<&Arc<Entity>>) -> Self {
        let is_end_user = self.entity().is_some_and(|entity| entity.kind == Kind::EndUser);
        if is_end_user && self.budget.is_none() {
            self.budget = default.cloned();
        }
        self
    }

    /// Has the budgets of a user bind a team's key, too.
    pub fn bind_budgets(&mut self) {
        if self.binds == Binds::Nothing {
            self.binds = Binds::Budgets;
        }
    }

    /// Whether any of its terms hold, and are not only charged for.
    #[must_use]
    pub fn binds(&self) -> bool {
        self.binds != Binds::Nothing
    }

    /// Whether `later` is the same one, and no less of its terms holds there.
    #[must_use]
    pub fn is_kept_by(&self, later: &Self) -> bool {
        self.id() == later.id() && self.binds <= later.binds
    }

    /// Whether its limits may shrink once its main budget is spent, instead of its requests being
    /// refused: that was asked for, and there are limits that can. A strict budget stays strict.
    #[must_use]
    pub fn gives_way(&self) -> bool {
        let is_asked = self.first(|terms| terms.throttle).unwrap_or_default();
        let is_strict = self.first(|terms| terms.strict).unwrap_or_default();
        let is_limited = self.rpm().or(self.tpm()).is_some();
        is_asked && !is_strict && is_limited && self.throttled.is_none()
    }

    /// From here on its main budget refuses nothing, and so many millionths are left of its limits of
    /// a minute, but 1 at least.
    pub fn throttle(&mut self, millionths: u32) {
        self.throttled = Some(millionths);
    }

    /// Whether its limits are smaller because its budget is spent.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.throttled.is_some()
    }

    fn shrunk(&self, limit: u64) -> u64 {
        self.throttled.map_or(limit, |millionths| {
            let left = u128::from(limit) * u128::from(millionths) / 1_000_000;
            u64::try_from(left).unwrap_or(limit).max(limit.min(1))
        })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> EntityId {
        match &self.row {
            Row::Key(key) => key.id,
            Row::Entity(entity) => entity.id,
            Row::Member(_, member) => member.id,
        }
    }

    /// What it is, as people call it.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match &self.row {
            Row::Key(_) => "key",
            Row::Entity(entity) => entity.kind.name(),
            Row::Member(group, _) if group.kind == Kind::Organization => "organization member",
            Row::Member(..) => "team member",
        }
    }

    /// As errors name it: `team_id`, `user_id`, the key's hash, ...
    #[must_use]
    pub fn name(&self) -> String {
        match &self.row {
            Row::Key(key) => key.token.to_string(),
            Row::Entity(entity) => entity.name.clone(),
            Row::Member(team, member) => format!("{}:{}", team.name, member.user),
        }
    }

    /// As people know it.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        match &self.row {
            Row::Key(key) => key.alias.as_deref(),
            Row::Entity(entity) => entity.alias.as_deref(),
            Row::Member(..) => None,
        }
    }

    /// The entity it is, if it is no key and no membership.
    #[must_use]
    pub fn entity(&self) -> Option<&Arc<Entity>> {
        match &self.row {
            Row::Entity(entity) => Some(entity),
            Row::Key(_) | Row::Member(..) => None,
        }
    }

    /// When its terms last changed; later terms have a higher one.
    #[must_use]
    pub fn as_of(&self) -> UnixMillis {
        let own = match &self.row {
            Row::Key(key) => key.updated_at,
            Row::Entity(entity) => entity.updated_at,
            Row::Member(team, _) => team.updated_at,
        };
        self.budget.as_ref().map_or(own, |budget| own.max(budget.updated_at))
    }

    pub(crate) fn blocked(&self) -> Option<(Kind, &str)> {
        let entity = self.entity().filter(|_| self.binds == Binds::All)?;
        (entity.terms.blocked == Some(true)).then_some((entity.kind, entity.name.as_str()))
    }

    /// Its own terms, and those of its group for members.
    fn own_terms(&self) -> (&Terms, Option<&Terms>) {
        match &self.row {
            Row::Key(key) => (&key.terms, None),
            Row::Entity(entity) => (&entity.terms, None),
            Row::Member(group, member) => (&member.terms, Some(&group.member)),
        }
    }

    /// Its own terms, then those it has from elsewhere.
    fn terms(&self) -> impl Iterator<Item = &Terms> {
        let (own, inherited) = self.own_terms();
        let shared = self.budget.as_ref().map(|budget| &budget.terms);
        [Some(own), inherited, shared].into_iter().flatten()
    }

    fn first<'a, T: 'a>(&'a self, of: impl Fn(&'a Terms) -> Option<T>) -> Option<T> {
        self.terms().find_map(of)
    }

    /// The same of what limits requests.
    fn limit_of<'a, T: 'a>(&'a self, of: impl Fn(&'a Terms) -> Option<T>) -> Option<T> {
        if self.binds == Binds::All { self.first(of) } else { None }
    }

    /// What it may call; empty for all. A member without a list of its own has the team's for members;
    /// shared terms list nothing.
    #[must_use]
    pub fn models(&self) -> &[String] {
        let (own, inherited) = self.own_terms();
        let lists = [Some(own), inherited].into_iter().flatten().map(|terms| &terms.models);
        let list = lists.into_iter().find(|list| !list.is_empty());
        list.filter(|_| self.binds == Binds::All).map_or(&[], Vec::as_slice)
    }

    /// Requests in any 60 s.
    #[must_use]
    pub fn rpm(&self) -> Option<u64> {
        self.limit_of(|terms| terms.rpm).map(|limit| self.shrunk(limit))
    }

    /// Tokens in any 60 s.
    #[must_use]
    pub fn tpm(&self) -> Option<u64> {
        self.limit_of(|terms| terms.tpm).map(|limit| self.shrunk(limit))
    }

    /// Whether its limits of requests, and those of tokens, hold only while the model fails.
    #[must_use]
    pub fn dynamic(&self) -> (bool, bool) {
        let is =
            |by: &str| self.first(|terms| terms.other.get(by)).is_some_and(|how| how == DYNAMIC);
        (is("rpm_limit_type"), is("tpm_limit_type"))
    }

    /// Tokens of batches in a day.
    #[must_use]
    pub fn tpd(&self) -> Option<u64> {
        self.limit_of(|terms| terms.other.get(TPD)?.parse().ok())
    }

    /// Tokens that an answer of a model is taken to have whose request bounds none.
    #[must_use]
    pub fn estimated_output(&self, model: &str) -> Option<u64> {
        let of_model = |terms: &Terms| {
            let all: BTreeMap<String, u64> =
                serde_json::from_str(terms.other.get(MODEL_OUTPUT)?).ok()?;
            all.get(model).copied()
        };
        let of_all = |terms: &Terms| terms.other.get(OUTPUT)?.parse().ok();
        self.first(of_model).or_else(|| self.first(of_all))
    }

    /// Requests at once.
    #[must_use]
    pub fn parallel(&self) -> Option<u64> {
        self.limit_of(|terms| terms.parallel)
    }

    /// What its limits do while nodes are lost, if it says so.
    #[must_use]
    pub fn on_loss(&self) -> Option<OnLoss> {
        self.first(|terms| terms.on_loss)
    }

    /// Requests and tokens of one model in any 60 s.
    #[must_use]
    pub fn model_limits(&self, model: &str) -> (Option<u64>, Option<u64>) {
        let budget = self.limit_of(|terms| terms.model_budgets.get(model));
        let rpm = self.limit_of(|terms| terms.model_rpm.get(model).copied());
        let tpm = self.limit_of(|terms| terms.model_tpm.get(model).copied());
        (rpm.or(budget.and_then(|all| all.rpm)), tpm.or(budget.and_then(|all| all.tpm)))
    }

    /// Spending more than this is told, not refused.
    #[must_use]
    pub fn soft_budget(&self) -> Option<NanoUsd> {
        self.first(|terms| terms.soft_budget)
    }

    /// How often the main budget begins anew.
    #[must_use]
    pub fn renewal(&self) -> Option<Renewal<'_>> {
        self.first(Terms::renewal)
    }

    /// Its budgets for a request that is so served: the main one, the windows, the models'. None of
    /// whom is only charged, and no main one of whom is throttled.
    #[must_use]
    pub fn budgets(&self, served: &Served, now: UnixMillis) -> Vec<Budget<'_>> {
        if self.binds == Binds::Nothing {
            return Vec::new();
        }
        let of = self.id();
        let strict = self.first(|terms| terms.strict).unwrap_or_default();
        let main = self.limit(&Line::Main, now).filter(|_| !self.is_throttled());
        let main = main.map(|limit| Budget {
            pot: PotId { of, line: Line::Main },
            limit,
            renewal: self.renewal(),
            strict,
        });
        let windows =
            self.first(|terms| (!terms.windows.is_empty()).then(|| terms.windows_by_length()));
        let windows = windows.into_iter().flatten().map(|(duration, limit)| Budget {
            pot: PotId { of, line: Line::Window(duration.clone()) },
            limit,
            renewal: Some(Renewal::of(duration)),
            strict,
        });
        let single = self.ruled(served).into_iter().filter_map(|model| {
            let budget = self.first(|terms| terms.model_budgets.get(model))?;
            Some(Budget {
                pot: PotId { of, line: Line::Model(model.to_owned()) },
                limit: budget.max_budget?,
                renewal: budget.duration.as_deref().map(Renewal::of),
                strict,
            })
        });
        main.into_iter().chain(windows).chain(single).collect()
    }

    /// The limit of one of its pots at `now`; `None` for none.
    #[must_use]
    pub fn limit(&self, line: &Line, now: UnixMillis) -> Option<NanoUsd> {
        match line {
            Line::Main => {
                let limit = self.first(|terms| terms.max_budget)?;
                let more = self.first(|terms| terms.temporary).filter(|more| now < more.until);
                Some(more.map_or(limit, |more| limit + more.more))
            }
            Line::Window(duration) => {
                self.first(|terms| terms.windows.get(duration.as_str()).copied())
            }
            Line::Model(model) => self.first(|terms| {
                terms.model_budgets.get(model.as_str()).and_then(|budget| budget.max_budget)
            }),
        }
    }
}
