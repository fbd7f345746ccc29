//! One deployment from its `litellm_params` and `model_info`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dunlin_ledger::Sheet;
use dunlin_llm::{ClientAuth, Target};
use dunlin_prices::Asked;
use dunlin_router::{About, BackendId, Deployment, Keepalive};
use dunlin_types::{DeploymentId, Networks, Secret, Tokens};
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::about;
use crate::allowances;
use crate::cache_points;
use crate::check::{self, Unknown};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::health_check;
use crate::keys::{self, Standing};
use crate::models::{Origin, Reading};
use crate::params;
use crate::pricing::{self, Terms};
use crate::report::Report;
use crate::tree::{Key, Map, Node, Value};
use crate::{Environment, client_auth, rules};

mod aim;
mod bedrock;
mod buckets;
mod identity;
pub(crate) mod limits;
mod modes;
mod responses;
mod routed;
mod vertex;

use aim::Aim;

/// The bounds on an attempt for deployments that set none.
#[derive(Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) whole: Duration,
    pub(crate) stream: Option<Duration>,
}

/// A deployment in the making.
pub(crate) struct Draft<'a> {
    group: &'a Arc<str>,
    /// The key `litellm_params`: where what is missing should have been.
    key: &'a Key,
    params: &'a Map,
    info: &'a Map,
    reading: &'a Reading<'a>,
    /// What it may be given of the node's.
    environment: &'a Environment,
    origin: Origin,
    /// Who wrote the entry, whoever gave its credential.
    written: Origin,
    parked: Option<String>,
    /// It lacks its key, and nothing else.
    lacks_key: bool,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(
        group: &'a Arc<str>,
        key: &'a Key,
        params: &'a Map,
        info: &'a Map,
        reading: &'a Reading<'a>,
        (origin, written): (Origin, Origin),
    ) -> Self {
        let lends = origin == Origin::Added && rules::chooses_address(params);
        let environment = if lends { reading.lent } else { reading.environment };
        Self {
            group,
            key,
            params,
            info,
            reading,
            environment,
            origin,
            written,
            parked: None,
            lacks_key: false,
        }
    }

    /// Takes no traffic here, for a reason that was found before.
    pub(crate) fn parked(self, why: Option<String>) -> Self {
        Self { parked: self.parked.or(why), ..self }
    }

    fn bound(&self, key: &str, report: &mut Report) -> Option<Duration> {
        report.bound(&format!("litellm_params.{key}"), self.params.get(key))
    }

    fn keepalive(&self, report: &mut Report) -> Keepalive {
        let (every, may) = ("keepalive_seconds", "allow_client_keepalive_override");
        Keepalive {
            every: report.seconds(&format!("litellm_params.{every}"), self.params.get(every)),
            client_may: report
                .flag(&format!("litellm_params.{may}"), self.params.get(may))
                .unwrap_or_default(),
        }
    }

    /// The deployment, its id not yet made unique. `None` if it cannot be called at all.
    pub(crate) fn finish(mut self, report: &mut Report) -> Option<Deployment> {
        let aim = self.aim(report);
        self.check(aim.as_ref().is_none_or(|aim| aim.served), report);
        self.park_by_info(report);
        let stream = self.bound("stream_timeout", report).or(self.reading.timeouts.stream);
        let whole = self.bound("timeout", report).unwrap_or(self.reading.timeouts.whole);
        let headers = self.headers(report);
        let (weight, limits) = self.shares(report);
        let id = report.text("model_info.id", self.info.get("id")).map(Arc::from);
        let [order, num_retries] = ["order", "num_retries"].map(|key| self.count(key, report));
        let rates = pricing::own_rates(self.params, self.info, report);
        let aim = aim?;
        let has_identity = aim.served && aim.key.is_none();
        let identity = has_identity.then(|| self.identity(&aim.provider, report)).flatten();
        let is_vertex = aim.served && vertex::is_vertex(&aim.provider);
        let is_bedrock = aim.served && bedrock::is_bedrock(&aim.provider);
        let region = self.region(&aim, identity.as_ref(), report);
        let buckets = self.buckets(&aim, region.as_deref(), report);
        let terms = self.terms(&aim, &rates, report);
        let about = self.about(&aim, report);
        let (responses, responses_of) = self.only_responses(&aim, report);
        let backend = BackendId::new(&aim.base, &aim.model);
        let target = Target {
            api_version: self.api_version(&aim, report),
            api_base: aim.base.into(),
            model: aim.model.into(),
            model_id: self.optional("model_id", report).filter(|_| is_bedrock),
            region,
            buckets,
            project: is_vertex.then(|| self.vertex_project(identity.as_ref(), report)).flatten(),
            api_key: aim.key,
            identity,
            clients: self.clients(report),
            is_clients: false,
            tls: self.reading.trust.of("litellm_params", self.params, report),
            networks: self.networks(),
            headers,
            body_defaults: self.body_defaults(),
            max_output: self.max_output(report).or(terms.max_output),
            params: params::rules(self.params, self.reading, report),
            cache_points: cache_points::points(self.params, report),
            forwards_headers: self.reading.forwarding.has(self.group),
            chat_only: self.chat_only(report),
            merges_thoughts: self.merges_thoughts(report),
            responses,
            responses_of,
        };
        Some(Deployment {
            id: DeploymentId(id.unwrap_or_else(|| self.hash())),
            backend,
            group: Arc::clone(self.group),
            provider: aim.provider.into(),
            region: self.part_of_the_world(&target, report),
            target,
            weight,
            limits,
            budget: allowances::of_deployment(self.params, report),
            tags: self.tags(report),
            max_input: self.max_input(report).or(terms.max_input),
            order: order.unwrap_or(0),
            timeout: whole,
            stream_timeout: stream.unwrap_or(whole),
            keepalive: self.keepalive(report),
            num_retries,
            cooldown: self.cooldown(report),
            allowed_fails: self.allowed_fails(report),
            price: terms.price,
            prices: terms.prices,
            about: Arc::new(about),
            parked: self.parked.map(Arc::from),
        })
    }

    fn clients(&self, report: &mut Report) -> ClientAuth {
        let how = (self.reading.client_keys, self.lacks_key);
        client_auth::of(self.params, how, self.reading.rules.networks(), report)
    }

    /// Where its calls may go.
    fn networks(&self) -> Networks {
        match self.origin {
            Origin::File => Networks::Anywhere,
            Origin::Added => self.reading.rules.networks(),
        }
    }

    /// Its model as the published table knows it.
    fn asked<'s>(&'s self, aim: &'s Aim, report: &mut Report) -> Asked<'s> {
        Asked {
            provider: &aim.provider,
            model: &aim.model,
            base_model: report.text("model_info.base_model", self.info.get("base_model")),
            own_address: false,
        }
    }

    /// What is said of it.
    fn about(&self, aim: &Aim, report: &mut Report) -> About {
        let asked = self.asked(aim, report);
        let sections = (self.params, self.info);
        let about = about::of(&self.reading.options.prices, &asked, sections, self.written);
        let check = health_check::of(self.info, &aim.provider, &about, report);
        self.check_mode(&aim.provider, report);
        About { check, ..about }
    }

    fn terms(&self, aim: &Aim, own: &Sheet, report: &mut Report) -> Terms {
        let Reading { options, adjustments, .. } = self.reading;
        let base_model = report.text("model_info.base_model", self.info.get("base_model"));
        let asked = (&*aim.provider, &*aim.model, &*aim.base);
        pricing::of(&options.prices, asked, base_model, own, adjustments)
    }

    /// The address's, `api_version`, or Azure's variable for it.
    fn api_version(&self, aim: &Aim, report: &mut Report) -> Option<Arc<str>> {
        let written = report.text("litellm_params.api_version", self.params.get("api_version"));
        let variable = || self.environment.get("AZURE_API_VERSION");
        let is_azure = aim.provider.starts_with("azure");
        let written = aim.version.as_deref().or(written);
        let version = written.or_else(|| is_azure.then(variable).flatten());
        version.filter(|version| !version.is_empty()).map(Into::into)
    }

    /// A text without which the deployment cannot be called: an unset variable parks it.
    fn needed<'n>(
        &mut self,
        what: &str,
        node: Option<&'n Node>,
        report: &mut Report,
    ) -> Option<&'n str> {
        if let Some((variable, node)) = node.and_then(|node| Some((node.missing()?, node))) {
            let message = format!("environment variable `{variable}` is not set");
            self.park(Code::UnsetVariable, message, node.place, report);
            return None;
        }
        report.text(what, node)
    }

    fn park(&mut self, code: Code, why: String, place: Place, report: &mut Report) {
        let label =
            format!("this deployment of `{}` is parked: it takes no traffic here", self.group);
        self.lacks_key = false;
        let message = format!("model `{}`: {why}", self.group);
        report.push(Diagnostic::warning(code, message).at(place, label));
        self.parked.get_or_insert(why);
    }

    fn park_by_info(&mut self, report: &mut Report) {
        if report.flag("model_info.blocked", self.info.get("blocked")) == Some(true) {
            self.parked.get_or_insert("model_info.blocked is true".to_owned());
        }
        let of_team = self.info.get("team_id").filter(|node| !node.is_idle());
        if let Some(node) = of_team.filter(|_| self.group.contains('*')) {
            let why = "a model of one team has a name without `*`".to_owned();
            self.park(Code::Parked, why, node.place, report);
        }
        let what = "model_info.supported_environments";
        let supported = report.list(what, self.info.get("supported_environments"));
        let here = self.environment.get("LITELLM_ENVIRONMENT");
        if !supported.is_empty() && !supported.iter().any(|node| node.as_text() == here) {
            let here = here.unwrap_or("not set");
            let why = format!("LITELLM_ENVIRONMENT is {here}, which {what} does not list");
            self.parked.get_or_insert(why);
        }
    }

    /// Looks for slips, and for settings not yet in force. A deployment that is not served needs
    /// no list of its provider's settings.
    fn check(&self, served: bool, report: &mut Report) {
        let unknown = if served { Unknown::BodyField } else { Unknown::Kept };
        for (key, node) in &self.params.entries {
            if pricing::is_rate(&key.text) {
                continue;
            }
            if served || keys::PARAMS.standing(&key.text) != Some(Standing::NotYet) {
                check::one(&[&keys::PARAMS], key, node, unknown, report);
            }
        }
        for (key, node) in &self.info.entries {
            if pricing::is_rate(&key.text) {
                continue;
            }
            check::one(&[&keys::INFO], key, node, Unknown::Kept, report);
        }
        let _: Option<u32> = self.count("max_retries", report);
    }

    fn headers(&mut self, report: &mut Report) -> Vec<(Arc<str>, Secret)> {
        let mut headers = Vec::new();
        let organization = self.params.get("organization");
        if let Some(text) = self.needed("litellm_params.organization", organization, report) {
            headers.push((Arc::from("OpenAI-Organization"), Secret::new(text)));
        }
        for section in ["headers", "extra_headers"] {
            let what = format!("litellm_params.{section}");
            let Some((section_key, map)) = self.params.find(section) else { continue };
            for (key, node) in &report.map(&what, Some(map)).unwrap_or(&Map::default()).entries {
                let Some(value) = self.needed(&format!("{what}.{}", key.text), Some(node), report)
                else {
                    continue;
                };
                let valid = HeaderName::from_bytes(key.text.as_bytes()).is_ok()
                    && HeaderValue::from_str(value).is_ok();
                if valid {
                    headers.push((key.text.as_str().into(), Secret::new(value)));
                } else {
                    // Shown at the section's key: the line of the header may hold a credential.
                    let message = format!("`{}` is not a header that HTTP can carry", key.text);
                    let problem = Diagnostic::error(Code::WrongValue, message);
                    report.push(problem.at(section_key.place, ""));
                }
            }
        }
        headers
    }

    fn body_defaults(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let entries = self.params.entries.iter();
        let own = entries.clone().filter(|(key, _)| check::is_body_default(&key.text));
        let extra = self.params.get("extra_body").and_then(Node::as_map);
        own.chain(extra.into_iter().flat_map(|map| &map.entries))
            .filter(|(_, node)| !matches!(node.value, Value::Null))
            .map(|(key, node)| (key.text.as_str().into(), node.json().into()))
            .collect()
    }

    /// Whether its server is only asked for chats, whatever else it has.
    fn chat_only(&self, report: &mut Report) -> bool {
        let what = "litellm_params.use_chat_completions_api";
        report.flag(what, self.params.get("use_chat_completions_api")) == Some(true)
    }

    /// Whether thoughts go into the content of chats.
    fn merges_thoughts(&self, report: &mut Report) -> bool {
        let key = "merge_reasoning_content_in_choices";
        report.flag(&format!("litellm_params.{key}"), self.params.get(key)) == Some(true)
    }

    /// Whether it is asked for responses alone: as its name or its mode says, or as is published. Where
    /// its model has stars, which of those that they stand for are.
    fn only_responses(&self, aim: &Aim, report: &mut Report) -> (bool, Arc<BTreeSet<Arc<str>>>) {
        let (table, asked) = (&self.reading.options.prices, self.asked(aim, report));
        let is_said = aim.responses
            || report.text("model_info.mode", self.info.get("mode")) == Some("responses");
        let all = is_said || responses::are_all(table, &asked);
        (all, responses::some(table, &asked))
    }

    /// The older name is for both directions in LiteLLM's price table, where it means this one.
    fn max_output(&self, report: &mut Report) -> Option<Tokens> {
        let of = |name: &str, report: &mut Report| -> Option<u32> {
            report.count(&format!("model_info.{name}"), self.info.get(name))
        };
        let most = of("max_output_tokens", report).or_else(|| of("max_tokens", report));
        most.map(|most| Tokens(most.into()))
    }

    fn count(&self, name: &str, report: &mut Report) -> Option<u32> {
        report.count(&format!("litellm_params.{name}"), self.params.get(name))
    }

    fn amount(&self, name: &str, report: &mut Report) -> Option<f64> {
        report.amount(&format!("litellm_params.{name}"), self.params.get(name))
    }

    /// A setting that may stand in `litellm_params` or in `model_info`.
    fn either(&self, name: &str) -> Option<(String, &Node)> {
        let there = |node: &&Node| node.value_is_there();
        let params = self.params.get(name).filter(there).map(|node| ("litellm_params", node));
        let found = params.or_else(|| Some(("model_info", self.info.get(name).filter(there)?)));
        found.map(|(section, node)| (format!("{section}.{name}"), node))
    }

    fn hash(&self) -> Arc<str> {
        let params = Node::new(Value::Map(self.params.clone()), self.key.place);
        let identity = format!("{}\n{}", self.group, params.canonical(false));
        hex::encode(Sha256::digest(identity)).into()
    }
}
