//! What the models of the Claude family can do, told from their names: the API refuses what a model
//! does not have. From Anthropic's pages on its models, on thinking and on structured outputs, read in
//! November 2026.

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// How it is told to think.
    pub thinking: Thinking,
    /// The word by which one that thinks unasked is told not to.
    pub rest: Option<&'static str>,
    /// Answers and calls that fit a schema can be asked for; else answers only as calls of a tool.
    pub schemas: bool,
    /// It takes `temperature`, `top_p` and `top_k`.
    pub samples: bool,
    /// It can be made to call a tool.
    pub forced_calls: bool,
}

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// It cannot.
    Never,
    /// In tokens.
    Budgeted,
    /// In words; newer models refuse a budget.
    Adaptive,
    /// In words how hard; it cannot be told not to.
    Always,
}

/// What every model of the dialect understands that thinks.
const OLDER: Abilities = Abilities {
    thinking: Thinking::Budgeted,
    rest: None,
    schemas: false,
    samples: true,
    forced_calls: true,
};
/// Since 4.6.
const ADAPTIVE: Abilities = Abilities { thinking: Thinking::Adaptive, schemas: true, ..OLDER };
/// Since 4.7.
const UNSAMPLED: Abilities = Abilities { samples: false, ..ADAPTIVE };
/// What the fifth generation's smaller models are.
const RESTING: Abilities = Abilities { rest: Some("disabled"), ..UNSAMPLED };
/// Such as Opus 5.5, and what is newer than this table.
const NEWEST: Abilities =
    Abilities { thinking: Thinking::Always, forced_calls: false, ..UNSAMPLED };

impl Abilities {
    /// True if it goes on with an answer that the request begins: no model since 4.6 does.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self.thinking, Thinking::Never | Thinking::Budgeted)
    }

    /// By the model's name at Anthropic, on Bedrock or on Vertex. A model of another family that
    /// speaks this dialect has what all such servers understand.
    #[must_use]
    pub fn of(model: &str) -> Self {
        let Some((_, name)) = model.split_once("claude-") else { return OLDER };
        let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
        let is = |family: &str| words().any(|word| word == family);
        match version(words()) {
            Some((..3, _) | (3, ..7)) => Self { thinking: Thinking::Never, ..OLDER },
            Some((3, _) | (4, ..2)) => OLDER,
            Some((4, ..6)) => Self { schemas: true, ..OLDER },
            Some((4, 6)) => ADAPTIVE,
            Some((4, _)) => UNSAMPLED,
            Some((5, 0)) if is("fable") || is("mythos") => Self { forced_calls: true, ..NEWEST },
            Some((5, 0)) => RESTING,
            Some(_) | None if is("haiku") => RESTING,
            Some(_) | None if is("sonnet") => {
                Self { rest: Some("between_tools"), forced_calls: false, ..UNSAMPLED }
            }
            Some(_) | None => NEWEST,
        }
    }
}

/// Its generation and what comes behind the point, of `opus-4-6-v1`, `3-5-haiku-20241022` or `v2`.
fn version<'m>(mut words: impl Iterator<Item = &'m str>) -> Option<(u8, u8)> {
    let small = |word: &str| if word.len() <= 2 { word.parse().ok() } else { None };
    let first = words.find_map(|word| small(word.strip_prefix('v').unwrap_or(word)))?;
    Some((first, words.next().and_then(small).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_what_it_can() {
        let never = Abilities { thinking: Thinking::Never, ..OLDER };
        let schemas = Abilities { schemas: true, ..OLDER };
        let between = Abilities { rest: Some("between_tools"), ..NEWEST };
        let between = Abilities { thinking: Thinking::Adaptive, ..between };
        for (model, expected) in [
            ("anthropic.claude-v2:1", never),
            ("anthropic.claude-instant-v1", never),
            ("claude-3-5-haiku-20241022", never),
            ("claude-3-opus@20240229", never),
            ("anthropic.claude-3-7-sonnet-20250219-v1:0", OLDER),
            ("claude-sonnet-4@20250514", OLDER),
            ("claude-opus-4-20250514", OLDER),
            ("claude-opus-4-1-20250805", OLDER),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", schemas),
            ("claude-sonnet-4.5", schemas),
            ("claude-opus-4-5@20251101", schemas),
            ("anthropic.claude-opus-4-6-v1", ADAPTIVE),
            ("claude-sonnet-4-6", ADAPTIVE),
            ("claude-opus-4-7-20260416", UNSAMPLED),
            ("claude-opus-4-8", UNSAMPLED),
            ("claude-sonnet-5", RESTING),
            ("us.anthropic.claude-opus-5-v1", RESTING),
            ("claude-haiku-5-5", RESTING),
            ("claude-fable-5", Abilities { forced_calls: true, ..NEWEST }),
            ("claude-fable-5-1", NEWEST),
            ("claude-sonnet-5-5", between),
            ("claude-opus-5-5", NEWEST),
            ("claude-opus-latest", NEWEST),
            ("kimi-k2", OLDER),
        ] {
            assert_eq!(Abilities::of(model), expected, "{model}");
        }
    }
}
