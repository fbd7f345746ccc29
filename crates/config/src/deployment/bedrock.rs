//! Where a deployment on Bedrock is: a region of AWS's, from which its address follows.

use std::sync::Arc;

use super::Draft;
use crate::report::Report;

/// LiteLLM's where nothing names one.
pub(super) const DEFAULT_REGION: &str = "us-west-2";
const ENDPOINT: &str = "aws_bedrock_runtime_endpoint";

pub(super) fn is_bedrock(provider: &str) -> bool {
    matches!(provider, "bedrock" | "bedrock_converse")
}

impl Draft<'_> {
    /// `aws_region_name`, the region in `model_id`, the model's name or ARN, or the variables that
    /// stand for it.
    pub(super) fn bedrock_region(&self, model: &str, report: &mut Report) -> Arc<str> {
        // `eu` and `us` say where it is, not whom to ask.
        let place = self.optional("region_name", report).filter(|place| place.contains('-'));
        let written = self.optional("aws_region_name", report).or(place);
        let called = self.optional("model_id", report);
        let named =
            || called.as_deref().and_then(region_in).or_else(|| region_in(model)).map(Arc::from);
        let region = written.or_else(named).or_else(|| self.aws_region(report));
        region.unwrap_or_else(|| DEFAULT_REGION.into())
    }

    /// An endpoint of one's own, or the region's.
    pub(super) fn bedrock_base(&self, model: &str, report: &mut Report) -> String {
        let own = self.optional(ENDPOINT, report);
        let own = own.or_else(|| self.variable("AWS_BEDROCK_RUNTIME_ENDPOINT"));
        if let Some(own) = own {
            return own.to_string();
        }
        let region = self.bedrock_region(model, report);
        let of_china = if region.starts_with("cn-") { ".cn" } else { "" };
        format!("https://bedrock-runtime.{region}.amazonaws.com{of_china}")
    }
}

/// `us-east-1/anthropic...` or `arn:aws:bedrock:us-east-1:...`.
fn region_in(model: &str) -> Option<&str> {
    let in_arn = model.find("arn:").and_then(|at| model[at..].split(':').nth(3));
    let is_region = |part: &&str| {
        let mut words = part.split('-');
        let digit = |word: &str| word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_digit());
        words.next().is_some_and(|word| word.len() == 2)
            && words.next_back().is_some_and(digit)
            && words.clone().count() > 0
            && words
                .all(|word| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase()))
    };
    in_arn.filter(|region| is_region(region)).or_else(|| model.split('/').find(is_region))
}
