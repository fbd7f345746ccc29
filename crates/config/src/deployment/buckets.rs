//! The buckets of a provider's jobs: S3's for Bedrock, Google's for Vertex AI. Where they are,
//! and which of them takes the files of clients.

use std::sync::Arc;

use dunlin_llm::Buckets;

use super::{Aim, Draft, bedrock, vertex};
use crate::destination::callable;
use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;

/// LiteLLM's name of the address, and the variable that AWS's own tools read.
const S3: (&str, &str) = ("s3_endpoint_url", "AWS_ENDPOINT_URL_S3");
/// The same for Google's, whose tools read that variable.
const GOOGLE: (&str, &str) = ("gcs_endpoint_url", "STORAGE_EMULATOR_HOST");

impl Draft<'_> {
    /// `None`: the provider has no such jobs.
    pub(super) fn buckets(
        &self,
        aim: &Aim,
        region: Option<&str>,
        report: &mut Report,
    ) -> Option<Buckets> {
        match &*aim.provider {
            _ if !aim.served => None,
            provider if bedrock::is_bedrock(provider) => Some(self.buckets_of_s3(region, report)),
            provider if vertex::is_vertex(provider) => Some(self.buckets_of_google(report)),
            _ => None,
        }
    }

    fn buckets_of_s3(&self, region: Option<&str>, report: &mut Report) -> Buckets {
        let own = self.optional("s3_region_name", report);
        let mut named =
            |name, variable| self.optional(name, report).or_else(|| self.variable(variable));
        Buckets {
            files: named("s3_bucket_name", "AWS_S3_BUCKET_NAME"),
            answers: named("s3_output_bucket_name", "AWS_S3_OUTPUT_BUCKET_NAME"),
            encryption_key: named("s3_encryption_key_id", "AWS_S3_ENCRYPTION_KEY_ID"),
            role: named("aws_batch_role_arn", "AWS_BATCH_ROLE_ARN"),
            store: self.store(S3, report).unwrap_or_else(|| {
                let region = own.as_deref().or(region).unwrap_or(bedrock::DEFAULT_REGION);
                let of_china = if region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://s3.{region}.amazonaws.com{of_china}").into()
            }),
            region: own,
        }
    }

    /// The older name, and the variable that the log of requests has in LiteLLM, come last.
    fn buckets_of_google(&self, report: &mut Report) -> Buckets {
        let written = ["gcs_bucket_name", "bucket_name"];
        let written = written.into_iter().find_map(|name| self.optional(name, report));
        let variables = ["GCS_BATCH_BUCKET_NAME", "GCS_BUCKET_NAME"];
        let files = written.or_else(|| variables.into_iter().find_map(|name| self.variable(name)));
        let store = self.store(GOOGLE, report);
        let store = store.unwrap_or_else(|| "https://storage.googleapis.com".into());
        Buckets { store, files, ..Buckets::default() }
    }

    /// An address of one's own.
    fn store(&self, (setting, variable): (&str, &str), report: &mut Report) -> Option<Arc<str>> {
        let variable = || self.variable(variable).map(|host| with_scheme(&host).into());
        let written = self.optional(setting, report).or_else(variable)?;
        let own = written.trim_end_matches('/');
        if let Err(why) = callable(own) {
            let message = format!("{setting} `{own}` cannot be called: {why}");
            report.push(Diagnostic::error(Code::BadUrl, message).at(self.key.place, ""));
        }
        Some(own.into())
    }
}

/// Google's tools take a host and a port, too.
fn with_scheme(host: &str) -> String {
    if host.contains("://") { host.to_owned() } else { format!("http://{host}") }
}
