//! What the models of the Claude family can do, told from their names: the API refuses what a model
//! does not have.

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// How it is told to think.
    pub thinking: Thinking,
    /// Answers that fit a schema can be asked for; else only calls of a tool can.
    pub schemas: bool,
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
}

/// Starts of names, the first that fits counts. What is not here is newer.
const OLDER: &[(&str, Thinking, bool)] = &[
    ("claude-2", Thinking::Never, false),
    ("claude-instant", Thinking::Never, false),
    ("claude-3-7", Thinking::Budgeted, false),
    ("claude-3", Thinking::Never, false),
    ("claude-opus-4-0", Thinking::Budgeted, false),
    ("claude-opus-4-1", Thinking::Budgeted, false),
    ("claude-opus-4-2025", Thinking::Budgeted, false),
    ("claude-opus-4@", Thinking::Budgeted, false),
    ("claude-sonnet-4-0", Thinking::Budgeted, false),
    ("claude-sonnet-4-2025", Thinking::Budgeted, false),
    ("claude-sonnet-4@", Thinking::Budgeted, false),
    ("claude-haiku-4-5", Thinking::Budgeted, true),
    ("claude-opus-4-5", Thinking::Budgeted, true),
    ("claude-sonnet-4-5", Thinking::Budgeted, true),
];

impl Abilities {
    /// By the model's name at Anthropic, on Bedrock or on Vertex. A model of another family that
    /// speaks this dialect has what all such servers understand.
    #[must_use]
    pub fn of(model: &str) -> Self {
        let Some(start) = model.find("claude-") else {
            return Self { thinking: Thinking::Budgeted, schemas: false };
        };
        let name = &model[start..];
        let older = OLDER.iter().find(|(start, ..)| name.starts_with(start));
        let (thinking, schemas) = older.map_or((Thinking::Adaptive, true), |&(_, t, s)| (t, s));
        Self { thinking, schemas }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_what_it_can() {
        for (model, thinking, schemas) in [
            ("claude-3-5-haiku-20241022", Thinking::Never, false),
            ("anthropic.claude-3-7-sonnet-20250219-v1:0", Thinking::Budgeted, false),
            ("claude-sonnet-4@20250514", Thinking::Budgeted, false),
            ("claude-opus-4-1-20250805", Thinking::Budgeted, false),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Thinking::Budgeted, true),
            ("claude-opus-4-7", Thinking::Adaptive, true),
            ("claude-sonnet-4-6", Thinking::Adaptive, true),
            ("kimi-k2", Thinking::Budgeted, false),
        ] {
            assert_eq!(Abilities::of(model), Abilities { thinking, schemas }, "{model}");
        }
    }
}
