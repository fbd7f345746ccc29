//! Where a deployment on Vertex AI is: a project and a location of Google's, from which its address
//! follows.

use std::sync::Arc;

use dunlin_types::{GoogleSource, Source};
use serde_json::Value;

use super::Draft;
use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;

/// LiteLLM's, for deployments that name none.
const DEFAULT_LOCATION: &str = "us-central1";

/// True for both of LiteLLM's names of it.
pub(super) fn is_vertex(provider: &str) -> bool {
    matches!(provider, "vertex_ai" | "vertex_ai_beta")
}

impl Draft<'_> {
    /// `vertex_location`, or the variables that stand for it.
    pub(super) fn vertex_location(&self, report: &mut Report) -> Arc<str> {
        let written = ["vertex_location", "vertex_ai_location", "region_name"];
        let written = written.into_iter().find_map(|name| self.optional(name, report));
        let variables = ["VERTEXAI_LOCATION", "VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"];
        let variable = || variables.into_iter().find_map(|name| self.variable(name));
        written.or_else(variable).unwrap_or_else(|| DEFAULT_LOCATION.into())
    }

    /// The server of the location.
    pub(super) fn vertex_base(&self, report: &mut Report) -> String {
        match &*self.vertex_location(report) {
            "global" => "https://aiplatform.googleapis.com".to_owned(),
            // A part of the world, such as `eu`.
            place if !place.contains('-') => {
                format!("https://aiplatform.{place}.rep.googleapis.com")
            }
            place => format!("https://{place}-aiplatform.googleapis.com"),
        }
    }

    /// `vertex_project`, the variables that stand for it, or the project of the credential.
    pub(super) fn vertex_project(
        &self,
        identity: Option<&Source>,
        report: &mut Report,
    ) -> Option<Arc<str>> {
        let written = ["vertex_project", "vertex_ai_project"];
        let written = written.into_iter().find_map(|name| self.optional(name, report));
        let variables = ["VERTEXAI_PROJECT", "VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT"];
        let variable = || variables.into_iter().find_map(|name| self.variable(name));
        let project = written.or_else(variable).or_else(|| project_of(identity?));
        if project.is_none() && identity.is_some() {
            let message = format!("model `{}` names no vertex_project", self.group);
            let label = "add vertex_project, or set VERTEXAI_PROJECT";
            report.push(Diagnostic::warning(Code::Missing, message).at(self.key.place, label));
        }
        project
    }
}

/// The project that a service account belongs to, if its key stands in the configuration.
fn project_of(identity: &Source) -> Option<Arc<str>> {
    let Source::Google(GoogleSource::Inline(key)) = identity else { return None };
    let key: Value = serde_json::from_str(key.expose()).ok()?;
    Some(key.get("project_id")?.as_str()?.into())
}
