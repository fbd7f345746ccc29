//! What can be called: the models of one config revision, as the data path reads them.
//! Built by `config`, immutable afterwards, the same on every node but for resolved secrets.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dunlin_ledger::{Allowance, Pricing};
use dunlin_llm::{ClientCredential, FallbackMap, Target};
use dunlin_types::{DeploymentId, Tokens};
use serde_json::value::RawValue;

use crate::by_error::{AllowedFails, RetryPolicy};
use crate::pass_through::PassThrough;
use crate::region::Region;
use crate::tags::TagFilter;

/// One config revision's models and how to route between them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Public names to their deployments.
    pub groups: BTreeMap<Arc<str>, Group>,
    /// The models of single teams (`model_info.team_id`), by team and by the name it calls them by.
    /// Nobody else knows them, and they come before models that are called alike.
    pub team_groups: TeamGroups,
    /// `model_group_alias` and `model_alias_map`: another public name for a group.
    pub aliases: BTreeMap<Arc<str>, Alias>,
    /// Groups to try, in order, when a group fails before the first byte. The key `*` is any group.
    pub fallbacks: FallbackMap,
    /// Likewise after a prompt that is too long for a group's model. `None`: as after any failure.
    pub context_window_fallbacks: Option<FallbackMap>,
    /// Likewise after a prompt or answer that a provider's filter stopped.
    pub content_policy_fallbacks: Option<FallbackMap>,
    /// `enforce_fallback_model_access`: a key must be allowed to call these fallbacks too.
    pub guards_fallbacks: bool,
    /// `model_info.access_groups`: names that stand for models in lists of what may be called.
    pub access_groups: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// `default_api_key_rpm_limit` and `default_api_key_tpm_limit`, by model: what a key may ask of it
    /// that has no limits of its own for it. The smallest of a model's deployments counts.
    pub key_limits: BTreeMap<Arc<str>, KeyLimits>,
    /// How a deployment is chosen within its group.
    pub strategy: Strategy,
    /// `enable_tag_filtering`: which deployments may answer a request depends on its tags.
    pub tag_filter: Option<TagFilter>,
    /// `enable_pre_call_checks`: what is longer than a deployment's model takes is not sent there.
    pub checks_length: bool,
    /// How failures are answered.
    pub retry: Retry,
    /// `retry_policy`.
    pub retry_policy: Option<RetryPolicy>,
    /// `model_group_retry_policy`, by group: goes before the one for all.
    pub group_retry_policies: BTreeMap<Arc<str>, RetryPolicy>,
    /// `use_in_pass_through`: deployments set aside for calls of their provider's own API that name
    /// no model.
    pub pass_through: BTreeSet<DeploymentId>,
    /// Whether a deployment takes keys that requests bring.
    pub takes_client_keys: bool,
    /// `provider_budget_config`: what may be spent on a provider, by its id.
    pub provider_budgets: BTreeMap<Arc<str>, Allowance>,
    /// `tag_budget_config`: what may be spent on requests with a tag.
    pub tag_budgets: BTreeMap<Arc<str>, Allowance>,
    /// `pass_through_endpoints`: paths that lead to addresses of the operator's choosing.
    pub endpoints: Vec<PassThrough>,
}

/// What a key may ask of one model in any 60 s. `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// Requests.
    pub rpm: Option<u64>,
    /// Tokens.
    pub tpm: Option<u64>,
}

/// Groups by team and name.
pub type TeamGroups = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Group>>;

impl Catalog {
    /// All deployments, those of single teams too.
    pub fn deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> + Clone {
        let of_teams = self.team_groups.values().flat_map(BTreeMap::values);
        self.groups.values().chain(of_teams).flat_map(|group| &group.deployments)
    }

    /// Those of a group that may answer a request with `tags`; `None`: nobody.
    #[must_use]
    pub fn tagged<'g>(&self, group: Cow<'g, Group>, tags: &[String]) -> Option<Cow<'g, Group>> {
        match self.tag_filter {
            Some(filter) => filter.narrow(group, tags),
            None => Some(group),
        }
    }

    /// How often a group is asked again, by what went wrong.
    #[must_use]
    pub fn retry_policy(&self, group: &str) -> Option<&RetryPolicy> {
        self.group_retry_policies.get(group).or(self.retry_policy.as_ref())
    }

    /// A team's own model.
    #[must_use]
    pub fn of_team(&self, team: &str, name: &str) -> Option<&Group> {
        self.team_groups.get(team)?.get(name)
    }
}

/// A second public name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The group it stands for.
    pub group: Arc<str>,
    /// True: works, but `/v1/models` does not list it.
    pub hidden: bool,
}

/// The deployments that serve one public name.
#[derive(Clone, Debug)]
pub struct Group {
    /// The public name.
    pub name: Arc<str>,
    /// In file order; parked ones included. Never empty.
    pub deployments: Vec<Arc<Deployment>>,
}

impl Group {
    /// The same for a request that brings `own`, which goes to one server: that of the first deployment
    /// that takes it.
    ///
    /// # Errors
    /// The name of what may not be brought.
    pub fn of_client(&self, own: &ClientCredential) -> Result<Self, &'static str> {
        let mut refused = None;
        let mut deployments: Vec<Arc<Deployment>> = Vec::new();
        for known in &self.deployments {
            let target = match known.target.of_client(own) {
                Ok(target) => target,
                Err(what) => {
                    refused.get_or_insert(what);
                    continue;
                }
            };
            let parked = known.parked.clone().filter(|_| !known.target.clients.is_needed);
            let of_client = Deployment { target, parked, ..Deployment::clone(known) };
            let is_there = |first: &Arc<Deployment>| {
                first.provider == of_client.provider
                    && first.target.api_base == of_client.target.api_base
            };
            if deployments.first().is_none_or(is_there) {
                deployments.push(Arc::new(of_client));
            }
        }
        match refused {
            Some(what) if deployments.is_empty() => Err(what),
            Some(_) | None => Ok(Self { name: Arc::clone(&self.name), deployments }),
        }
    }
}

/// One way to serve a group: a provider, an address, an upstream model, a credential.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Stable over nodes and restarts.
    pub id: DeploymentId,
    /// Which backend it loads. Two deployments of one backend share its in-flight count.
    pub backend: BackendId,
    /// The public name it serves.
    pub group: Arc<str>,
    /// The provider's id: the prefix of `litellm_params.model`, such as `openai` or `hosted_vllm`.
    pub provider: Arc<str>,
    /// Where its calls go and by which rules.
    pub target: Target,
    /// Weight for the shuffle: `weight`, else `rpm`, else `tpm`; see `pick`.
    pub weight: Weight,
    /// What it may be sent.
    pub limits: DeploymentLimits,
    /// What may be spent on it.
    pub budget: Option<Allowance>,
    /// `tags`: for which requests it is, where the catalog has a filter.
    pub tags: Arc<[Arc<str>]>,
    /// Where it is, as far as is known.
    pub region: Option<Region>,
    /// The most tokens that its model takes, as far as is known.
    pub max_input: Option<Tokens>,
    /// Lower is tried first; only the lowest present is eligible.
    pub order: u32,
    /// Bound on one whole attempt.
    pub timeout: Duration,
    /// Bound on the wait for the first chunk of a stream.
    pub stream_timeout: Duration,
    /// What is said to a client while a stream is silent.
    pub keepalive: Keepalive,
    /// Overrides [`Retry::num_retries`] for requests whose first attempt is here.
    pub num_retries: Option<u32>,
    /// Overrides [`Retry::cooldown`]. Zero: never cooled down.
    pub cooldown: Option<Duration>,
    /// Goes before [`Retry::allowed_fails`] where anything is set.
    pub allowed_fails: AllowedFails,
    /// What it costs, as far as is known.
    pub price: Pricing,
    /// For a target with stars: what each upstream model costs whose price is known. For a model that
    /// makes pictures: what one of each quality and size costs, such as `hd/1024-x-1024`.
    pub prices: Arc<BTreeMap<Arc<str>, Pricing>>,
    /// What is said of it.
    pub about: Arc<About>,
    /// Why it takes no traffic on this node, such as an unset environment variable.
    pub parked: Option<Arc<str>>,
}

/// What `/model/info` says of a deployment.
#[derive(Clone, Debug)]
pub struct About {
    /// True: it was set over the API. False: a config file has it.
    pub added: bool,
    /// What its model is for, in LiteLLM's words, such as `chat`.
    pub mode: Arc<str>,
    /// `litellm_params` as a JSON object, without credentials.
    pub params: Box<RawValue>,
    /// `model_info` as a JSON object: what is published, and what the operator wrote over it.
    pub info: Box<RawValue>,
    /// How it is called to see whether it lives.
    pub check: HealthCheck,
}

/// How a deployment is called to see whether it lives: `model_info.health_check_*`.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// The upstream name of the model that is called in place of the deployment's own.
    pub model: Option<Arc<str>>,
    /// How long it may take.
    pub timeout: Duration,
    /// The most tokens that it may be answered with.
    pub max_output: u64,
    /// Who speaks, for models that do.
    pub voice: Arc<str>,
    /// `reasoning_effort`, for chats.
    pub effort: Option<Arc<str>>,
}

impl Default for HealthCheck {
    /// LiteLLM's defaults.
    fn default() -> Self {
        let (timeout, max_output) = (Duration::from_mins(1), 5);
        Self { model: None, timeout, max_output, voice: "alloy".into(), effort: None }
    }
}

impl Default for About {
    fn default() -> Self {
        let nothing = || RawValue::from_string("{}".to_owned()).expect("an object is JSON");
        Self {
            added: false,
            mode: "chat".into(),
            params: nothing(),
            info: nothing(),
            check: HealthCheck::default(),
        }
    }
}

/// Whether clients of a deployment's streams hear something while it is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// `keepalive_seconds`: how often. Zero: never, whatever a client wishes.
    pub every: Option<Duration>,
    /// `allow_client_keepalive_override`.
    pub client_may: bool,
}

impl Group {
    /// How often a client hears something while a stream of this group is silent: as all of its
    /// deployments have it, or, where those agree to that, as the client wishes.
    #[must_use]
    pub fn keepalive(&self, wish: Option<Duration>) -> Option<Duration> {
        let first = self.deployments.first()?.keepalive;
        let agree = self.deployments.iter().all(|known| known.keepalive == first);
        let forbidden = !agree || first.every.is_some_and(|every| every.is_zero());
        let wish = wish.filter(|_| first.client_may);
        let every = wish.or(first.every).filter(|every| !every.is_zero() && !forbidden);
        every.map(|every| every.clamp(KEEPALIVE_BOUNDS.0, KEEPALIVE_BOUNDS.1))
    }
}

impl Deployment {
    /// What an upstream model costs here.
    #[must_use]
    pub fn price_of(&self, model: &str) -> &Pricing {
        self.prices.get(model).unwrap_or(&self.price)
    }
}

/// Whether another deployment is of the same account: it sees the same things.
#[must_use]
pub fn is_beside(home: &Deployment, known: &Deployment) -> bool {
    known.target.api_base == home.target.api_base
        && known.target.api_key == home.target.api_key
        && known.provider == home.provider
}

/// More often is a burden, less often is useless: LiteLLM's bounds.
const KEEPALIVE_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// A deployment's shares of traffic, by each measure LiteLLM knows. Missing is not zero: see `pick`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weight {
    /// `weight`.
    pub weight: Option<f64>,
    /// `rpm`.
    pub rpm: Option<f64>,
    /// `tpm`.
    pub tpm: Option<f64>,
}

/// What a deployment may be sent, by the whole cluster. `None`: as much as comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeploymentLimits {
    /// Requests in any 60 s.
    pub requests: Option<u64>,
    /// Tokens in any 60 s.
    pub tokens: Option<u64>,
    /// Tokens of prompts in any 60 s.
    pub input: Option<u64>,
    /// Tokens of answers in any 60 s.
    pub output: Option<u64>,
    /// Requests at once.
    pub parallel: Option<u64>,
}

/// A backend: what can be busy, ill or warm. One server may serve several public names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BackendId(pub Arc<str>);

impl BackendId {
    /// The backend behind an address and an upstream model. Credentials in the address are left
    /// out: this is gossiped, logged and shown.
    #[must_use]
    pub fn new(api_base: &str, upstream_model: &str) -> Self {
        Self(format!("{} {upstream_model}", without_userinfo(api_base)).into())
    }

    /// Where it is: the base URL.
    #[must_use]
    pub fn api_base(&self) -> &str {
        self.0.split_once(' ').map_or(&*self.0, |(api_base, _)| api_base)
    }
}

/// A URL without the name and password it may carry.
fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find('/').unwrap_or(rest.len());
    let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a deployment is chosen within its group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// Weighted random: LiteLLM's `simple-shuffle`.
    #[default]
    Shuffle,
    /// The globally least busy backend, of two or three drawn at random.
    LeastBusy,
    /// The cheapest by its usual rates: LiteLLM's `cost-based-routing`.
    Cheapest,
    /// The one to which this node has sent the fewest tokens in the current minute: LiteLLM's
    /// `usage-based-routing`.
    LeastUsed,
    /// The one that answers fastest, as measured by this node: LiteLLM's `latency-based-routing`.
    Fastest {
        /// Others are as good whose answers take so much longer, as a part of the fastest's time:
        /// `lowest_latency_buffer`.
        within: f64,
        /// Whether a stream is asked for: then its first part is what counts, else the whole answer by
        /// its length.
        stream: bool,
    },
}

impl Strategy {
    /// The same for a request that asks for a stream, or for a whole answer.
    #[must_use]
    pub fn of(self, stream: bool) -> Self {
        match self {
            Self::Fastest { within, .. } => Self::Fastest { within, stream },
            Self::Shuffle | Self::LeastBusy | Self::Cheapest | Self::LeastUsed => self,
        }
    }
}

/// How failures before the first byte are answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts after the first, per group.
    pub num_retries: u32,
    /// The least wait before a retry that finds no other healthy deployment.
    pub retry_after: Duration,
    /// How many groups may be tried after the first.
    pub max_fallbacks: u32,
    /// How long a deployment that failed is left alone, unless its answer says.
    pub cooldown: Duration,
    /// Failures in a cooldown window before a deployment is left alone. None set: LiteLLM's
    /// percentage rule.
    pub allowed_fails: AllowedFails,
    /// True: never leave a deployment alone.
    pub disable_cooldowns: bool,
}

impl Default for Retry {
    /// LiteLLM's defaults.
    fn default() -> Self {
        Self {
            num_retries: 2,
            retry_after: Duration::ZERO,
            max_fallbacks: 5,
            cooldown: Duration::from_secs(5),
            allowed_fails: AllowedFails::default(),
            disable_cooldowns: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_named_without_the_credentials_of_its_address() {
        let cases = [
            ("http://user:pass@vllm:8000/v1", "http://vllm:8000/v1"),
            ("http://vllm:8000/v1", "http://vllm:8000/v1"),
            ("https://a:b@c:d@host", "https://host"),
            ("http://vllm/v1/@x", "http://vllm/v1/@x"),
        ];
        for (url, shown) in cases {
            let backend = BackendId::new(url, "m");
            assert_eq!(backend.api_base(), shown);
            assert_eq!(backend.to_string(), format!("{shown} m"));
        }
    }
}
