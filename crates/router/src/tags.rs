//! Tag routing: which of a group's deployments may answer a request with certain tags.

use std::borrow::Cow;
use std::sync::Arc;

use crate::catalog::{Deployment, Group};

/// The tag of deployments for requests that no other deployment is meant for.
const DEFAULT: &str = "default";

/// `enable_tag_filtering`: deployments are chosen by the tags of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagFilter {
    /// `tag_filtering_match_any`: one of a request's tags is enough; else the deployment must have
    /// them all.
    pub any: bool,
}

impl TagFilter {
    /// Those of `group` that may answer a request with `tags`: the ones that have its tags, else the
    /// ones tagged `default`. A request without tags that finds none of these may have them all.
    /// `None`: nobody may answer it.
    #[must_use]
    pub fn narrow<'g>(self, group: Cow<'g, Group>, tags: &[String]) -> Option<Cow<'g, Group>> {
        let has = |of: &Deployment, tag: &str| of.tags.iter().any(|own| **own == *tag);
        let fits = |of: &Deployment| {
            let mut each = tags.iter().map(|tag| has(of, tag));
            if self.any { each.any(|has| has) } else { !tags.is_empty() && each.all(|has| has) }
        };
        let only = |which: &dyn Fn(&Deployment) -> bool| {
            let kept: Vec<Arc<Deployment>> =
                group.deployments.iter().filter(|of| which(of)).cloned().collect();
            (!kept.is_empty()).then_some(kept)
        };
        let kept = only(&fits).or_else(|| only(&|of| has(of, DEFAULT)));
        match kept {
            Some(kept) if kept.len() == group.deployments.len() => Some(group),
            Some(deployments) => {
                Some(Cow::Owned(Group { name: Arc::clone(&group.name), deployments }))
            }
            None => tags.is_empty().then_some(group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::deployment;

    fn group(all: &[&[&str]]) -> Group {
        let deployments = all.iter().enumerate().map(|(at, tags)| {
            let tags = tags.iter().map(|tag| Arc::from(*tag)).collect();
            let id = dunlin_types::DeploymentId(at.to_string().into());
            Arc::new(Deployment { id, tags, ..deployment("g", "m") })
        });
        Group { name: "g".into(), deployments: deployments.collect() }
    }

    fn left(filter: TagFilter, all: &[&[&str]], tags: &[&str]) -> Option<String> {
        let (group, tags) = (group(all), tags.iter().map(ToString::to_string).collect::<Vec<_>>());
        let narrowed = filter.narrow(Cow::Borrowed(&group), &tags)?;
        Some(narrowed.deployments.iter().map(|of| of.id.0.to_string()).collect())
    }

    #[test]
    fn a_request_goes_where_its_tags_are_else_to_the_default_else_nowhere() {
        let any = TagFilter { any: true };
        let tiers: &[&[&str]] = &[&["free"], &["paid", "eu"], &["default"], &[]];
        let cases: &[(&[&str], &str)] =
            &[(&["free"], "0"), (&["eu", "free"], "01"), (&["unknown"], "2"), (&[], "2")];
        for (tags, expected) in cases {
            assert_eq!(left(any, tiers, tags).as_deref(), Some(*expected), "{tags:?}");
        }
        let without_default = &tiers[..2];
        assert_eq!(left(any, without_default, &["unknown"]), None);
        assert_eq!(left(any, without_default, &[]).as_deref(), Some("01"));
    }

    #[test]
    fn all_tags_may_be_asked_for() {
        let all = TagFilter { any: false };
        let tiers: &[&[&str]] = &[&["paid"], &["paid", "eu"]];
        assert_eq!(left(all, tiers, &["eu", "paid"]).as_deref(), Some("1"));
        assert_eq!(left(all, tiers, &["eu", "free"]), None);
        assert_eq!(left(all, tiers, &[]).as_deref(), Some("01"), "no tag is no choice");
    }
}
