//! In which part of the world a deployment is, as far as its provider's word for the place tells.

use std::borrow::Cow;

use crate::catalog::Group;

/// A part of the world to which an end user's requests can be bound: `allowed_model_region`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// The European Union.
    Eu,
    /// The United States.
    Us,
}

/// Azure names its regions by countries; these are in the union.
const EU_COUNTRIES: &[&str] =
    &["austria", "belgium", "denmark", "france", "germany", "italy", "poland", "spain", "sweden"];

impl Region {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Eu, Self::Us];

    /// As LiteLLM calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eu => "eu",
            Self::Us => "us",
        }
    }

    /// The one that is called so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.name() == name)
    }

    /// Where a place is, by any of the names that providers have for places: `eu-west-1`,
    /// `europe-west4`, `westeurope`, `us-central1`, `eastus2`.
    #[must_use]
    pub fn of_place(place: &str) -> Option<Self> {
        let place = place.trim().to_ascii_lowercase();
        let is_eu = place == "eu"
            || place.starts_with("eu-")
            || place.contains("europe")
            || EU_COUNTRIES.iter().any(|country| place.starts_with(country));
        let is_us = place.starts_with("us-")
            || place.trim_end_matches(|last: char| last.is_ascii_digit()).ends_with("us");
        match (is_eu, is_us) {
            (true, _) => Some(Self::Eu),
            (false, true) => Some(Self::Us),
            (false, false) => None,
        }
    }

    /// Those of `group` that are known to be in it; none: `None`.
    pub(crate) fn narrow(self, group: Cow<'_, Group>) -> Option<Cow<'_, Group>> {
        let is_in = |at: usize| group.deployments[at].region == Some(self);
        let all = 0..group.deployments.len();
        if all.clone().all(is_in) {
            return Some(group);
        }
        let kept: Vec<_> =
            all.filter(|at| is_in(*at)).map(|at| group.deployments[at].clone()).collect();
        (!kept.is_empty())
            .then(|| Cow::Owned(Group { name: group.name.clone(), deployments: kept }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_where_its_providers_name_says() {
        let cases: [(Option<Region>, &[&str]); 3] = [
            (
                Some(Region::Eu),
                &["eu", "EU", "eu-central-1", "europe-west4", "westeurope", "swedencentral"],
            ),
            (
                Some(Region::Us),
                &["us", "us-east-1", "us-gov-west-1", "us-central1", "eastus2", "northcentralus"],
            ),
            (None, &["", "global", "ap-south-1", "australiaeast", "uksouth", "switzerlandnorth"]),
        ];
        for (region, places) in cases {
            for place in places {
                assert_eq!(Region::of_place(place), region, "{place}");
            }
        }
    }
}
