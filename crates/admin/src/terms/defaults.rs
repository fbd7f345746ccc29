//! The config's defaults for what is made over the API: they fill what a request leaves open, and
//! never what a shared budget sets that the request names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_state::{Kind, State};

use crate::error::Error;
use crate::request::body::Body;
use crate::rights::forbidden;
use crate::terms::shared;
use crate::{Admin, Settings};

/// What was put into a request.
#[derive(Debug, Default)]
pub(crate) struct Defaulted(BTreeMap<String, (&'static str, String)>);

impl Defaulted {
    /// Puts the defaults of a config's setting into `body`.
    pub(crate) fn fill(
        &mut self,
        body: &mut Body,
        state: &State,
        (setting, defaults): (&'static str, &BTreeMap<String, String>),
    ) {
        let named = body.peek("budget_id");
        let named = named.as_ref().and_then(serde_json::Value::as_str);
        let budget = named.and_then(|name| state.entity(Kind::Budget, name));
        let is_open =
            |name: &String| budget.is_none_or(|budget| !shared::governs(&budget.terms, name));
        let open = defaults.iter().filter(|(name, _)| is_open(name));
        for name in body.fill(&open.map(|(name, text)| (name.clone(), text.clone())).collect()) {
            let text = defaults.get(&name).cloned().unwrap_or_default();
            self.0.insert(name, (setting, text));
        }
    }

    /// What of it gives way to a shared budget that is named later.
    pub(crate) fn gives_way(&self) -> BTreeSet<String> {
        shared::known(self.0.keys())
    }

    /// Puts those of new keys into `body`.
    pub(crate) fn of_key(body: &mut Body, settings: &Settings, state: &State) -> Self {
        let mut filled = Self::default();
        let (defaults, bounds) = (&settings.key_defaults, &settings.key_bounds);
        filled.fill(body, state, ("default_key_generate_params", defaults));
        filled.fill(body, state, ("upperbound_key_generate_params", bounds));
        filled
    }

    /// The same refusal, which says where a value comes from that the request does not name.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let Error::Forbidden { reason } = error else { return error };
        let field = reason.split(' ').next().unwrap_or_default();
        match self.0.get(field) {
            Some((setting, text)) => forbidden(format!(
                "{reason}: the request does not set it, so it is {text} by \
                 litellm_settings.{setting}; set a value that fits"
            )),
            None => forbidden(reason),
        }
    }
}

impl Admin {
    /// A state to fill a request by: one that knows the shared budget it names, which may have been
    /// made on another node a moment ago.
    pub(crate) async fn knowing(&self, body: &Body) -> Arc<State> {
        let named = body.peek("budget_id");
        let named = named.as_ref().and_then(serde_json::Value::as_str);
        self.knowing_budget(self.0.consensus.state(), named).await
    }

    /// `local`, or what the leader knows if that does not know the shared budget that is `named`.
    pub(crate) async fn knowing_budget(
        &self,
        local: Arc<State>,
        named: Option<&str>,
    ) -> Arc<State> {
        match named {
            Some(name) if local.entity(Kind::Budget, name).is_none() => self.read().await.state,
            Some(_) | None => local,
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_state::Terms;
    use dunlin_types::NanoUsd;
    use serde_json::{Value, json};

    use super::*;
    use crate::terms::shared::tests::state_with;

    fn settings() -> Settings {
        let map = |of: &[(&str, &str)]| {
            of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        Settings {
            key_defaults: map(&[
                ("max_budget", "50"),
                ("budget_duration", "\"1d\""),
                ("tpm_limit", "7"),
            ]),
            key_bounds: map(&[("rpm_limit", "3")]),
            ..Settings::default()
        }
    }

    #[test]
    fn a_default_fills_what_neither_the_request_nor_its_shared_budget_sets() {
        let shared = Terms { max_budget: Some(NanoUsd(1)), rpm: Some(2), ..Terms::default() };
        let state = state_with(shared);
        for (text, filled) in [
            ("{}", json!([50, "1d", 7, 3])),
            (r#"{"budget_id": null, "max_budget": 1}"#, json!([1, "1d", 7, 3])),
            (r#"{"budget_id": "b"}"#, json!([null, null, 7, null])),
            (r#"{"budget_id": "b", "max_budget": 9}"#, json!([9, null, 7, null])),
            (r#"{"budget_id": "unknown"}"#, json!([50, "1d", 7, 3])),
        ] {
            let mut body = Body::parse(text.as_bytes()).expect("an object");
            Defaulted::of_key(&mut body, &settings(), &state);
            let names = ["max_budget", "budget_duration", "tpm_limit", "rpm_limit"];
            let found: Vec<Value> =
                names.iter().map(|name| body.peek(name).unwrap_or_default()).collect();
            assert_eq!(Value::from(found), filled, "{text}");
        }
    }

    #[test]
    fn a_refusal_says_which_default_gave_what_nobody_asked_for() {
        let mut body = Body::parse(br#"{"tpm_limit": 9}"#).expect("an object");
        let filled = Defaulted::of_key(&mut body, &settings(), &State::new());
        let told = |reason: &str| filled.explain(forbidden(reason.to_owned())).told();
        let default = told("max_budget goes beyond that of the calling key");
        assert!(
            default.contains("50 by litellm_settings.default_key_generate_params"),
            "{default}"
        );
        let bound = told("rpm_limit goes beyond that of the calling key");
        assert!(bound.contains("3 by litellm_settings.upperbound_key_generate_params"), "{bound}");
        let own = "tpm_limit goes beyond that of the calling key";
        assert_eq!(told(own), own);
    }
}
