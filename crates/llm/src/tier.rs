//! How soon a provider answers: what a request asks for, and what an answer was served in. Some
//! sell it at other prices.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::string;
use crate::word::Word;

/// Google and Bedrock write it in one word.
static MEMBERS: [Word; 2] = [Word::new(b"\"service_tier\""), Word::new(b"\"serviceTier\"")];

/// A service tier, whatever a provider calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The usual.
    Standard,
    /// Later and cheaper.
    Flex,
    /// Sooner and dearer.
    Priority,
    /// Sooner still.
    Ultrafast,
    /// In a batch.
    Batch,
}

impl Tier {
    /// By its name in requests and answers. `None` for one that leaves it open, or is unknown.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "default" | "on_demand" | "scale" | "standard" | "standard_only" => Self::Standard,
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            "ultrafast" => Self::Ultrafast,
            "batch" => Self::Batch,
            _ => return None,
        })
    }

    /// OpenAI's name of it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Standard => "default",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
            Self::Batch => "batch",
        }
    }

    /// From the JSON text of a member, if it is one.
    pub(crate) fn of(value: Option<&RawValue>) -> Option<Self> {
        Self::named(&string(value?.get())?)
    }

    /// The same, also as Bedrock has it: in an object.
    pub(crate) fn said(value: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Typed<'a> {
            #[serde(borrow)]
            r#type: Cow<'a, str>,
        }
        if value.starts_with('{') {
            return Self::named(&serde_json::from_str::<Typed<'_>>(value).ok()?.r#type);
        }
        Self::named(&string(value)?)
    }

    /// What a whole body asks for.
    #[must_use]
    pub fn asked(body: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Peek<'a> {
            #[serde(borrow)]
            #[serde(alias = "serviceTier")]
            service_tier: Option<&'a RawValue>,
        }
        // Few speak of it, and others need not be read again.
        if !MEMBERS.iter().any(|member| member.is_in(body.as_bytes())) {
            return None;
        }
        Self::said(serde_json::from_str::<Peek<'_>>(body).ok()?.service_tier?.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_by_the_member_alone() {
        let cases = [
            (r#"{"service_tier":"flex"}"#, Some(Tier::Flex)),
            (r#"{"service_tier" : "priority","n":1}"#, Some(Tier::Priority)),
            (r#"{"serviceTier":"flex"}"#, Some(Tier::Flex)),
            (r#"{"serviceTier":{"type":"priority"}}"#, Some(Tier::Priority)),
            (r#"{"service_tier":"ultrafast"}"#, Some(Tier::Ultrafast)),
            (r#"{"service_tier":"auto"}"#, None),
            (r#"{"service_tier":null}"#, None),
            (r#"{"messages":"\"service_tier\":\"flex\""}"#, None),
            ("{}", None),
        ];
        for (body, expected) in cases {
            assert_eq!(Tier::asked(body), expected, "{body}");
        }
    }
}
