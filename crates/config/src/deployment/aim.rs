//! Where a deployment's calls go, and with which key.

use dunlin_types::Secret;

use crate::deployment::{Draft, bedrock, vertex};
use crate::destination;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::report::Report;
use crate::target_uri::TargetUri;
use crate::tree::Node;

/// What a call to the deployment needs.
pub(super) struct Aim {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) base: String,
    /// The address names it.
    pub(super) version: Option<String>,
    pub(super) key: Option<Secret>,
    pub(super) served: bool,
    /// The model's name says that it is asked for responses.
    pub(super) responses: bool,
}

impl Aim {
    fn keyless(provider: String, model: String, base: String) -> Self {
        let (version, key) = (None, None);
        Self { provider, model, base, version, key, served: true, responses: false }
    }
}

impl Draft<'_> {
    pub(super) fn aim(&mut self, report: &mut Report) -> Option<Aim> {
        let Some(node) = self.params.get("model").filter(|node| node.value_is_there()) else {
            let message = format!("model `{}` has no litellm_params.model", self.group);
            report.push(Diagnostic::error(Code::Missing, message).at(self.key.place, ""));
            return None;
        };
        let options = self.reading.options;
        let base_node = self.params.get("api_base").or_else(|| self.params.get("base_url"));
        let base = self.needed("litellm_params.api_base", base_node, report);
        let has_base = base_node.is_some_and(Node::value_is_there);
        let forced = report
            .text("litellm_params.custom_llm_provider", self.params.get("custom_llm_provider"));
        let Some(model) = self.needed("litellm_params.model", Some(node), report) else {
            // A list or map is an error already; an unset variable parks.
            self.parked.as_ref()?;
            return Some(self.nowhere(node));
        };
        let Some(to) = destination::of(model, forced, has_base, options) else {
            report.push(destination::unclear(model, forced, has_base, node.place, options));
            return None;
        };
        let (provider, model) = (to.provider.to_owned(), to.model.to_owned());
        if let Some(why) = to.unserved {
            let message = format!("provider `{provider}` is not served by this version: {why}");
            self.park(Code::NotServed, message, node.place, report);
            let base = base.unwrap_or_default().to_owned();
            return Some(Aim { served: false, ..Aim::keyless(provider, model, base) });
        }
        let place = base_node.map_or(node.place, |node| node.place);
        let located = !has_base && bedrock::is_bedrock(&provider);
        let located = located.then(|| self.bedrock_base(&model, report));
        let written = base.or(located.as_deref());
        let TargetUri { base, version } = self.base(&provider, written, has_base, place, report)?;
        let key = self.key(&provider, has_base, node, report);
        Some(Aim { provider, model, base, version, key, served: true, responses: to.responses })
    }

    /// Stands for a deployment whose model this node does not know.
    fn nowhere(&self, model: &Node) -> Aim {
        let model = model.variable.clone().unwrap_or_default();
        let (provider, base) = (String::new(), String::new());
        Aim::keyless(provider, model, base)
    }

    fn base(
        &mut self,
        provider: &str,
        written: Option<&str>,
        has_base: bool,
        place: Place,
        report: &mut Report,
    ) -> Option<TargetUri> {
        if has_base && written.is_none() {
            let nowhere = || TargetUri { base: String::new(), version: None };
            return self.parked.is_some().then(nowhere);
        }
        let variable = |name: &str| self.environment.get(name);
        let base = destination::base(provider, written, variable, self.reading.options);
        let by_location = || vertex::is_vertex(provider).then(|| self.vertex_base(report));
        let Some(base) = base.or_else(by_location).map(|base| TargetUri::read(provider, &base))
        else {
            let message = format!("provider `{provider}` needs an api_base");
            let label = "add api_base: http://host:port/v1 to litellm_params";
            report.push(Diagnostic::error(Code::Missing, message).at(place, label));
            return None;
        };
        if let Err(why) = destination::callable(&base.base) {
            let message = format!("api_base `{}` cannot be called: {why}", base.base);
            report.push(Diagnostic::error(Code::BadUrl, message).at(place, ""));
            return None;
        }
        Some(base)
    }

    fn key(
        &mut self,
        provider: &str,
        has_base: bool,
        model: &Node,
        report: &mut Report,
    ) -> Option<Secret> {
        let node = self.params.get("api_key").filter(|node| node.value_is_there());
        if node.is_some() {
            let is_first = self.parked.is_none();
            let key = self.needed("litellm_params.api_key", node, report);
            self.lacks_key |= is_first && self.parked.is_some();
            return key.filter(|key| !key.is_empty()).map(Secret::new);
        }
        let (environment, options) = (self.environment, self.reading.options);
        let variables = destination::key_variables(provider, has_base, options);
        let set = |name: &&str| environment.get(name).filter(|key| !key.is_empty());
        let key = variables.iter().find_map(set);
        let needed = destination::needs_key(provider, has_base, options) && !self.has_own_key();
        if let (None, Some(variable), true) = (key, variables.first(), needed) {
            let message = format!("there is no api_key, and `{variable}` is not set");
            let is_first = self.parked.is_none();
            self.park(Code::UnsetVariable, message, model.place, report);
            self.lacks_key = is_first;
        }
        key.map(Secret::new)
    }

    /// True if a header of the operator's carries the credential.
    fn has_own_key(&self) -> bool {
        let sections = ["headers", "extra_headers"].iter().filter_map(|name| self.params.get(name));
        let mut headers = sections.filter_map(Node::as_map).flat_map(|map| &map.entries);
        headers.any(|(key, _)| key.text.eq_ignore_ascii_case("authorization"))
    }
}
