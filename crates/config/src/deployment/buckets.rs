//! Where the buckets are in which a provider's jobs leave their answers: S3's for Bedrock, Google's
//! for Vertex AI.

use std::sync::Arc;

use super::{Aim, Draft, bedrock, callable, vertex};
use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;

/// LiteLLM's name of the address, and the variable that AWS's own tools read.
const S3: (&str, &str) = ("s3_endpoint_url", "AWS_ENDPOINT_URL_S3");
/// The same for Google's, whose tools read that variable.
const GOOGLE: (&str, &str) = ("gcs_endpoint_url", "STORAGE_EMULATOR_HOST");

impl Draft<'_> {
    /// An address of one's own, or the region's. `None`: the provider has no such jobs.
    pub(super) fn buckets(
        &self,
        aim: &Aim,
        region: Option<&str>,
        report: &mut Report,
    ) -> Option<Arc<str>> {
        let (setting, variable) = match &*aim.provider {
            _ if !aim.served => return None,
            provider if bedrock::is_bedrock(provider) => S3,
            provider if vertex::is_vertex(provider) => GOOGLE,
            _ => return None,
        };
        let variable = || self.variable(variable).map(|host| with_scheme(&host).into());
        let written = self.optional(setting, report).or_else(variable);
        let Some(own) = written else { return Some(own_address(region, setting).into()) };
        let own = own.trim_end_matches('/');
        if let Err(why) = callable(own) {
            let message = format!("{setting} `{own}` cannot be called: {why}");
            report.push(Diagnostic::error(Code::BadUrl, message).at(self.key.place, ""));
        }
        Some(own.into())
    }
}

fn own_address(region: Option<&str>, setting: &str) -> String {
    match region.filter(|_| setting == S3.0) {
        Some(region) => {
            let of_china = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://s3.{region}.amazonaws.com{of_china}")
        }
        None => "https://storage.googleapis.com".to_owned(),
    }
}

/// Google's tools take a host and a port, too.
fn with_scheme(host: &str) -> String {
    if host.contains("://") { host.to_owned() } else { format!("http://{host}") }
}
