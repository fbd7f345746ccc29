//! What decides whether a deployment is asked: its place, its tags, its shares, its failures.

use std::sync::Arc;
use std::time::Duration;

use dunlin_llm::Target;
use dunlin_router::{AllowedFails, DeploymentLimits, Region, Weight};
use dunlin_types::{Source, Tokens};

use crate::deployment::{Aim, Draft, bedrock, limits, vertex};
use crate::policies;
use crate::report::Report;

impl Draft<'_> {
    /// Where it is, of those that are asked for by that.
    pub(super) fn region(
        &self,
        aim: &Aim,
        identity: Option<&Source>,
        report: &mut Report,
    ) -> Option<Arc<str>> {
        if aim.served && vertex::is_vertex(&aim.provider) {
            return Some(self.vertex_location(report));
        }
        if aim.served && bedrock::is_bedrock(&aim.provider) {
            return Some(self.bedrock_region(&aim.model, report));
        }
        let is_aws = matches!(identity, Some(Source::Aws(_)));
        is_aws.then(|| self.aws_region(report)).flatten()
    }

    /// In which part of the world it is: `region_name`, which may name that or any place in it, else
    /// the place that it is asked for at. Bedrock's `global.` profiles answer from anywhere.
    pub(super) fn part_of_the_world(&self, target: &Target, report: &mut Report) -> Option<Region> {
        let (what, node) = self.either("region_name").unzip();
        let written = what.and_then(|what| report.text(&what, node));
        let place = target.region.as_deref().filter(|_| !target.model.contains("global."));
        written.or(place).and_then(Region::of_place)
    }

    pub(super) fn cooldown(&self, report: &mut Report) -> Option<Duration> {
        let (what, node) = self.either("cooldown_time")?;
        report.seconds(&what, Some(node))
    }

    pub(super) fn allowed_fails(&self, report: &mut Report) -> AllowedFails {
        let get = |key| self.info.get(key);
        let set = (get("allowed_fails"), get("allowed_fails_policy"));
        policies::allowed_fails("model_info.", set, report)
    }

    pub(super) fn max_input(&self, report: &mut Report) -> Option<Tokens> {
        let (what, key) = ("model_info.max_input_tokens", "max_input_tokens");
        let most: Option<u32> = report.count(what, self.info.get(key));
        most.map(|most| Tokens(most.into()))
    }

    /// For which requests it is, where they are told apart by tags.
    pub(super) fn tags(&self, report: &mut Report) -> Arc<[Arc<str>]> {
        let what = "litellm_params.tags";
        let tags = report.list(what, self.params.get("tags"));
        tags.iter().filter_map(|tag| report.text(what, Some(tag))).map(Arc::from).collect()
    }

    /// Its shares of the traffic, and what it may be sent.
    pub(super) fn shares(&self, report: &mut Report) -> (Weight, DeploymentLimits) {
        let weight = Weight {
            weight: self.amount("weight", report),
            rpm: self.amount("rpm", report),
            tpm: self.amount("tpm", report),
        };
        (weight, limits::of(self.params, &weight, &self.reading.limits, report))
    }
}
