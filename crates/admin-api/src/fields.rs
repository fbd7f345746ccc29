//! The fields of keys, teams, users and the others that this release does not act upon: which are
//! kept and shown, and which are refused.
//!
//! Refused is what would guard money or access and does not: whoever sets it would believe to be
//! protected. Saying that nothing is guarded (null, empty, false) is always fine.

use serde_json::Value;

/// Whose field it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    /// A key's.
    Key,
    /// A team's.
    Team,
    /// A user's.
    User,
    /// An end user's.
    EndUser,
    /// An organization's.
    Organization,
    /// A shared budget's.
    Budget,
    /// A tag's.
    Tag,
    /// An access group's.
    AccessGroup,
}

/// A field that this release does not act upon.
pub struct Field {
    /// As requests and rows have it.
    pub name: &'static str,
    /// What a value must be.
    pub shape: Shape,
    standing: Standing,
    /// A letter for each whose field it is: Key, Team, User, Customer, Organization, taG.
    on: &'static str,
}

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number that is not negative.
    Count,
    /// True or false.
    Flag,
    /// A list.
    List,
    /// An object.
    Object,
    /// An object of lists of texts.
    Lists,
}

#[derive(Clone, Copy)]
enum Standing {
    /// Guards nothing: a label, a wish, a switch for what does not exist here, or what is read where
    /// it is kept.
    Kept,
    /// Would guard something.
    Guards,
    /// Would guard something unless its value says otherwise.
    GuardsUnless(fn(&Value) -> bool),
}

use Shape::{Count, Flag, List, Lists, Number, Object, Text};
use Standing::{Guards, GuardsUnless, Kept};

/// Everything in LiteLLM's objects that is not in force here, by name.
static OTHER: &[Field] = &[
    field("access_group_ids", List, Guards, "KTUO"),
    field("agent_id", Text, Guards, "K"),
    field("allowed_cache_controls", List, Kept, "KU"),
    field("allowed_model_region", Text, Guards, "C"),
    field("allowed_passthrough_routes", List, Kept, "KT"),
    field("allowed_vector_store_indexes", List, Guards, "KT"),
    field("auto_rotate", Flag, Guards, "K"),
    field("budget_fallbacks", Lists, Kept, "KT"),
    field("config", Object, Kept, "KU"),
    field("default_estimated_output_tokens", Count, Kept, "KT"),
    field("default_estimated_output_tokens_per_model", Object, Kept, "KT"),
    field("default_model", Text, Guards, "C"),
    field("default_team_member_models", List, Guards, "T"),
    field("denied_passthrough_routes", List, Guards, "KT"),
    field("description", Text, Kept, "G"),
    field("disable_global_guardrails", Flag, Kept, "KT"),
    field("guardrails", List, Guards, "KTU"),
    field("mcp_rpm_limit", Object, Guards, "KT"),
    field("object_permission", Object, Guards, "KTUCO"),
    field("password", Text, Guards, "U"),
    field("permissions", Object, GuardsUnless(only_grants), "KU"),
    field("policies", List, Guards, "KTU"),
    field("project_id", Text, Guards, "K"),
    field("prompts", List, Guards, "KTU"),
    field("rotation_interval", Text, Kept, "K"),
    field("router_settings", Object, Kept, "KTU"),
    field("rpm_limit_type", Text, GuardsUnless(is_kept_throughput), "KT"),
    field("secret_manager_settings", Object, Kept, "T"),
    field("send_invite_email", Flag, Kept, "KU"),
    field("sso_user_id", Text, Kept, "U"),
    field("tag_rpm_limit", Object, Guards, "KT"),
    field("team_member_key_duration", Text, Guards, "T"),
    field("throttle_on_budget_exceeded", Flag, Guards, "KTU"),
    field("tpd_limit", Number, Guards, "KTU"),
    field("tpm_limit_type", Text, GuardsUnless(is_kept_throughput), "KT"),
];

const fn field(name: &'static str, shape: Shape, standing: Standing, on: &'static str) -> Field {
    Field { name, shape, standing, on }
}

/// Permissions that only allow. What a grant allows does not exist here, so it opens nothing.
fn only_grants(value: &Value) -> bool {
    value.as_object().is_some_and(|permissions| permissions.values().all(|value| value == true))
}

/// The kinds of throughput that there are: what is guaranteed is seen to when it is promised.
fn is_kept_throughput(value: &Value) -> bool {
    value == "best_effort_throughput" || value == "guaranteed_throughput"
}

impl Of {
    fn letter(self) -> char {
        match self {
            Self::Key => 'K',
            Self::Team => 'T',
            Self::User => 'U',
            Self::EndUser => 'C',
            Self::Organization => 'O',
            Self::Budget => 'B',
            Self::Tag => 'G',
            Self::AccessGroup => 'A',
        }
    }
}

/// The fields of one of them that this release does not act upon, by name.
pub fn idle_fields(of: Of) -> impl Iterator<Item = &'static Field> + Clone {
    OTHER.iter().filter(move |field| field.on.contains(of.letter()))
}

impl Field {
    /// How it is shown while it is not set.
    #[must_use]
    pub fn unset(&self) -> &'static str {
        match self.shape {
            Text | Number | Count => "null",
            Flag => "false",
            List => "[]",
            Object | Lists => "{}",
        }
    }

    /// Whether a value asks for a guard that there is not.
    #[must_use]
    pub fn guards(&self, value: &Value) -> bool {
        let guards = match self.standing {
            Kept => false,
            Guards => true,
            GuardsUnless(harmless) => !harmless(value),
        };
        guards && !guards_nothing(value)
    }
}

/// A number is never nothing: a budget of 0 is a limit that lets nothing through.
fn guards_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(OTHER.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
