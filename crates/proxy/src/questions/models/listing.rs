//! What a caller wants to be listed beside the models that it may call, and what is told of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use dunlin_llm::FallbackMap;
use dunlin_router::{Access, Catalog, listed};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::questions::model_info::behind_patterns;
use crate::request::caller::Caller;
use crate::{Proxy, Serving};

/// The one scope there is.
const EXPAND: &str = "expand";

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Listing {
    return_wildcard_routes: String,
    include_model_access_groups: String,
    only_model_access_groups: String,
    healthy_only: String,
    include_metadata: String,
    fallback_type: String,
    /// The team whose models are asked for.
    team_id: String,
    /// `expand`: all models, for those who are admins of anything.
    scope: String,
}

/// What is wrong with a query, in LiteLLM's shapes.
#[derive(Debug, PartialEq)]
pub(super) enum Unlisted {
    /// A flag is neither on nor off.
    Flag {
        name: &'static str,
        value: String,
    },
    Scope(String),
    FallbackType(String),
    /// There is no such team, or the caller may not look at it: which of the two, only the master key
    /// learns.
    Team {
        team: String,
        is_master: bool,
    },
}

impl IntoResponse for Unlisted {
    fn into_response(self) -> Response<Body> {
        let (status, detail) = match self {
            Self::Flag { name, value } => {
                let msg = "Input should be a valid boolean, unable to interpret input";
                let fault = json!({"type": "bool_parsing", "loc": ["query", name], "msg": msg,
                    "input": value});
                (StatusCode::UNPROCESSABLE_ENTITY, json!([fault]))
            }
            Self::Scope(scope) => (
                StatusCode::BAD_REQUEST,
                json!(format!(
                    "Invalid scope parameter. Only 'expand' is currently supported. Received: {scope}"
                )),
            ),
            Self::FallbackType(kind) => {
                let known = KINDS.join(", ");
                let detail =
                    format!("Invalid fallback_type. Must be one of: {known}. Received: {kind}");
                (StatusCode::BAD_REQUEST, json!(detail))
            }
            Self::Team { team, is_master: true } => {
                (StatusCode::NOT_FOUND, json!({"error": format!("Team=`{team}` does not exist")}))
            }
            Self::Team { team, is_master: false } => {
                let error = format!(
                    "not authorized to access this team={team}: it is not the key's, and the key's \
                     user neither belongs to it nor is an admin"
                );
                (StatusCode::FORBIDDEN, json!({"error": error}))
            }
        };
        (status, Json(json!({"detail": detail}))).into_response()
    }
}

/// Which fallbacks can be told of.
const KINDS: [&str; 3] = ["general", "context_window", "content_policy"];

/// What is told of a model that was asked about with `include_metadata`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Metadata {
    /// The models that are tried after it.
    fallbacks: Vec<Arc<str>>,
}

fn is_on(flag: &str) -> bool {
    matches!(flag.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on" | "t" | "y")
}

fn is_off(flag: &str) -> bool {
    matches!(flag.to_ascii_lowercase().as_str(), "" | "false" | "0" | "no" | "off" | "f" | "n")
}

impl Listing {
    /// As whom the models are listed that `caller` asks for.
    pub(super) fn caller(&self, proxy: &Proxy, caller: Caller) -> Result<Caller, Unlisted> {
        self.check()?;
        let admission = &proxy.0.admission;
        if self.scope == EXPAND && caller.key().is_some_and(|key| admission.leads_any(key)) {
            return Ok(Caller::Master);
        }
        if self.team_id.is_empty() {
            return Ok(caller);
        }
        let (team, is_master) = (self.team_id.clone(), caller.key().is_none());
        match (admission.as_team(caller.key(), &team), caller) {
            (Some(caller), Caller::Key { name, demanded, .. }) => {
                Ok(Caller::Key { caller, name, demanded })
            }
            (Some(caller), Caller::Master) => {
                Ok(Caller::Key { caller, name: String::new(), demanded: Arc::default() })
            }
            (None, _) => Err(Unlisted::Team { team, is_master }),
        }
    }

    fn check(&self) -> Result<(), Unlisted> {
        let flags = [
            ("return_wildcard_routes", &self.return_wildcard_routes),
            ("include_model_access_groups", &self.include_model_access_groups),
            ("only_model_access_groups", &self.only_model_access_groups),
            ("healthy_only", &self.healthy_only),
            ("include_metadata", &self.include_metadata),
        ];
        if let Some((name, value)) =
            flags.into_iter().find(|(_, flag)| !is_on(flag) && !is_off(flag))
        {
            return Err(Unlisted::Flag { name, value: value.clone() });
        }
        if !matches!(&*self.scope, "" | EXPAND) {
            return Err(Unlisted::Scope(self.scope.clone()));
        }
        if !self.fallback_type.is_empty() && !KINDS.contains(&&*self.fallback_type) {
            return Err(Unlisted::FallbackType(self.fallback_type.clone()));
        }
        Ok(())
    }

    /// The names that are listed for a caller.
    pub(super) fn names(
        &self,
        proxy: &Proxy,
        serving: &Serving,
        access: Option<Access<'_>>,
    ) -> Vec<Arc<str>> {
        let catalog = &serving.catalog;
        let mut names = self.chosen(catalog, access);
        if is_on(&self.healthy_only) {
            names.retain(|name| is_ready(proxy, catalog, access, name));
        }
        names
    }

    fn chosen(&self, catalog: &Catalog, access: Option<Access<'_>>) -> Vec<Arc<str>> {
        let only_groups = is_on(&self.only_model_access_groups);
        let mut names = if only_groups { Vec::new() } else { listed(catalog, access) };
        if !only_groups {
            let mut more = behind_patterns(catalog, access);
            more.retain(|name, _| !names.contains(name));
            names.extend(more.into_keys());
        }
        let may = |name: &Arc<str>| access.is_none_or(|access| access.allows(&[&**name]));
        if is_on(&self.return_wildcard_routes) && !only_groups {
            let patterns = catalog.groups.keys().filter(|name| name.contains('*'));
            let reaches =
                |name: &&Arc<str>| access.is_none_or(|access| access.reaches(catalog, name, name));
            names.extend(patterns.filter(reaches).cloned());
        }
        if only_groups || is_on(&self.include_model_access_groups) {
            let groups: BTreeSet<&Arc<str>> = catalog.access_groups.values().flatten().collect();
            names.extend(groups.into_iter().filter(|name| may(name)).cloned());
        }
        names
    }

    /// What is told of a model, if it was asked for.
    pub(super) fn metadata(&self, catalog: &Catalog, name: &str) -> Option<Metadata> {
        let after = match self.fallback_type.as_str() {
            _ if !is_on(&self.include_metadata) => return None,
            "context_window" => catalog.context_window_fallbacks.as_ref(),
            "content_policy" => catalog.content_policy_fallbacks.as_ref(),
            _ => Some(&catalog.fallbacks),
        };
        let after = after.and_then(|after: &FallbackMap| after.get(name));
        let after = after.into_iter().flatten().map(|target| Arc::clone(&target.model));
        Some(Metadata { fallbacks: after.collect() })
    }
}

/// Whether one of a model's deployments would take a request now, as far as this node knows.
fn is_ready(proxy: &Proxy, catalog: &Catalog, access: Option<Access<'_>>, name: &str) -> bool {
    let own = access.and_then(|access| catalog.of_team(access.team?, name));
    let named = catalog.aliases.get(name).map_or(name, |alias| &alias.group);
    // A name that a pattern stands for, or a group of models, is not looked at.
    let Some(group) = own.or_else(|| catalog.groups.get(named)) else { return true };
    proxy.0.upstream.has_ready(group, catalog.strategy, &BTreeSet::new())
}
