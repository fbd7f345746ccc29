//! The fields of keys, teams, users and the others that this release does not act upon: which are
//! kept and shown, and which are refused.
//!
//! Fields that would guard money or access and are not enforced are refused, because a client that
//! sets them would believe to be protected. Values that guard nothing (null, empty, false) are
//! always accepted.

use serde_json::Value;

/// Whose field it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    /// A key's.
    Key,
    /// A membership's, of a team or an organization.
    Member,
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
    /// A letter for each whose field it is: Key, Member, Team, User, Customer, Organization, Budget,
    /// taG.
    on: &'static str,
}

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number that is not negative.
    Count,
    /// True or false.
    Flag,
    /// A list.
    List,
    /// An object.
    Object,
    /// An object of counts.
    Counts,
    /// An object of lists of texts.
    Lists,
    /// One of [`THROUGHPUTS`].
    Throughput,
    /// One of [`REGIONS`].
    Region,
}

#[derive(Clone, Copy)]
enum Standing {
    /// Guards nothing: a label, a wish, a switch for what does not exist here, or what is read where
    /// it is kept.
    Kept,
    /// Guards nothing, but its sender waits for something that does not happen: what to do instead.
    Idle(&'static str),
    /// Would guard something, and why it does not.
    Guards(&'static str),
    /// Would guard something unless its value says otherwise.
    GuardsUnless(fn(&Value) -> bool, &'static str),
}

use Shape::{Count, Counts, Flag, List, Lists, Object, Region, Text, Throughput};
use Standing::{Guards, GuardsUnless, Idle, Kept};

const AGENTS: &str = "agents are not served";
const DENIED: &str = "list what may be called in allowed_routes instead";
const END_USERS: &str = "give end users a default in litellm_settings.max_end_user_budget_id";
const EXPIRY: &str = "when files expire is for their requests to say, in expires_after";
const GROUPS: &str = "the objects of /v1/access_group are not kept; list the names of access groups in models instead";
const GUARDRAILS: &str = "guardrails, policies and kept prompts are not carried out";
const MCP: &str = "MCP servers are not served, so there is nothing to limit";
const MEMBERS: &str =
    "only keys, teams and users have it; a member has a budget, rpm_limit and tpm_limit";
const MEMBER_MODELS: &str =
    "give the models to the members: /team/member_update takes allowed_models";
const ONLY_KEYS: &str = "only keys have it: give it to each of them";
const ONLY_KEYS_AND_TEAMS: &str = "only keys and teams have it";
const OBJECTS: &str = "MCP servers, vector stores and agents are not served";
const INVITATIONS: &str = "no email is sent; tell the user yourself";
const PASSWORDS: &str = "there are no pages to sign in to";
const PERMISSIONS: &str = "only permissions that allow something are known, not those that forbid";
const PROJECTS: &str = "there are no projects; use teams";
const ROTATION: &str = "the job that rotates keys in LiteLLM (LITELLM_KEY_ROTATION_ENABLED) is not here; \
     call /key/{key}/regenerate, with a grace_period";
const SECRETS: &str =
    "keys are written to no secret manager; put them there as /key/generate answers them";
const STORES: &str = "vector stores are not served";
const TRACES: &str = "no request is asked for the id of its trace";

/// Everything in LiteLLM's objects that is not in force here, by name.
static OTHER: &[Field] = &[
    field("access_group_ids", List, Guards(GROUPS), "KTUO"),
    field("agent_id", Text, Guards(AGENTS), "K"),
    field("allowed_cache_controls", List, Kept, "KU"),
    field("allowed_model_region", Region, Kept, "C"),
    field("allowed_models", List, Guards(MEMBER_MODELS), "B"),
    field("allowed_passthrough_routes", List, Kept, "KT"),
    field("allowed_routes", List, Guards(ONLY_KEYS), "MTUCOBG"),
    field("allowed_vector_store_indexes", List, Guards(STORES), "KT"),
    field("auto_rotate", Flag, Guards(ROTATION), "KTUCOBG"),
    field("blocked", Flag, Guards(MEMBERS), "M"),
    field("budget_fallbacks", Lists, Kept, "KT"),
    field("budget_fallbacks", Lists, Guards(ONLY_KEYS_AND_TEAMS), "MUCOBG"),
    field("budget_limits", List, Guards(MEMBERS), "M"),
    field("config", Object, Kept, "KU"),
    field("default_estimated_output_tokens", Count, Kept, "KT"),
    field("default_estimated_output_tokens_per_model", Counts, Kept, "KT"),
    field("default_model", Text, Kept, "C"),
    field("denied_passthrough_routes", List, Guards(DENIED), "KT"),
    field("description", Text, Kept, "G"),
    field("disable_global_guardrails", Flag, Kept, "KT"),
    field("end_user_budget_id", Text, Guards(END_USERS), "K"),
    field("enforced_batch_output_expires_after", Object, Guards(EXPIRY), "T"),
    field("enforced_file_expires_after", Object, Guards(EXPIRY), "T"),
    field("enforced_params", List, Guards(ONLY_KEYS), "MTUCOBG"),
    field("guardrails", List, Guards(GUARDRAILS), "KMTUCOBG"),
    field("key_type", Text, Kept, "K"),
    field("max_parallel_requests", Count, Guards(MEMBERS), "M"),
    field("mcp_rpm_limit", Object, Guards(MCP), "KTUCOBG"),
    field("model_max_budget", Object, Guards(MEMBERS), "M"),
    field("model_rpm_limit", Object, Guards(MEMBERS), "M"),
    field("model_tpm_limit", Object, Guards(MEMBERS), "M"),
    field("object_permission", Object, Guards(OBJECTS), "KTUCO"),
    field("password", Text, Guards(PASSWORDS), "U"),
    field("permissions", Object, GuardsUnless(only_grants, PERMISSIONS), "KU"),
    field("policies", List, Guards(GUARDRAILS), "KMTUCOBG"),
    field("project_id", Text, Guards(PROJECTS), "K"),
    field("prompts", List, Guards(GUARDRAILS), "KTUCOBG"),
    field("require_trace_id", Flag, Guards(TRACES), "T"),
    field("rotation_interval", Text, Kept, "K"),
    field("router_settings", Object, Kept, "KTU"),
    field("rpm_limit_type", Throughput, Kept, "KT"),
    field("rpm_limit_type", Throughput, GuardsUnless(is_best_effort, ONLY_KEYS_AND_TEAMS), "UCOBG"),
    field("secret_manager_settings", Object, Idle(SECRETS), "T"),
    field("send_invite_email", Flag, Idle(INVITATIONS), "KU"),
    field("sso_user_id", Text, Kept, "U"),
    field("team_member_model_max_budget", Object, Guards(MEMBERS), "T"),
    field("tpd_limit", Count, Kept, "KTUOB"),
    field("tpm_limit_type", Throughput, Kept, "KT"),
    field("tpm_limit_type", Throughput, GuardsUnless(is_best_effort, ONLY_KEYS_AND_TEAMS), "UCOBG"),
];

const fn field(name: &'static str, shape: Shape, standing: Standing, on: &'static str) -> Field {
    Field { name, shape, standing, on }
}

/// Permissions that only allow. What a grant allows does not exist here, so it opens nothing.
fn only_grants(value: &Value) -> bool {
    value.as_object().is_some_and(|permissions| permissions.values().all(|value| value == true))
}

/// What a limit is anyway.
fn is_best_effort(value: &Value) -> bool {
    value == THROUGHPUTS[0]
}

/// How a limit of a minute may be meant. What is guaranteed is seen to when it is promised; what is
/// dynamic holds only while the model fails.
pub const THROUGHPUTS: [&str; 3] = ["best_effort_throughput", "guaranteed_throughput", "dynamic"];

/// Where an end user's requests can be bound to.
pub const REGIONS: [&str; 2] = ["eu", "us"];

impl Of {
    fn letter(self) -> char {
        match self {
            Self::Key => 'K',
            Self::Member => 'M',
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

/// Why a field is refused that would guard something, as a clause.
#[must_use]
pub fn why_refused(name: &str) -> &'static str {
    let named = OTHER.iter().filter(|field| field.name == name);
    let why = |field: &Field| match field.standing {
        Guards(why) | GuardsUnless(_, why) => Some(why),
        Kept | Idle(_) => None,
    };
    named.into_iter().find_map(why).unwrap_or("it bounds nothing there")
}

/// What is to be said of the fields of a row that do not do what their sender waits for.
pub fn warnings_of<'r>(row: impl Fn(&str) -> Option<&'r str>) -> Vec<String> {
    let is_set = |field: &&Field| row(field.name).is_some_and(|raw| raw != field.unset());
    let warning = |field: &Field| match field.standing {
        Idle(instead) => Some(format!("{}: {instead}", field.name)),
        Kept | Guards(_) | GuardsUnless(..) => None,
    };
    OTHER.iter().filter(is_set).filter_map(warning).collect()
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
            Text | Count | Throughput | Region => "null",
            Flag => "false",
            List => "[]",
            Object | Counts | Lists => "{}",
        }
    }

    /// Whether a value asks for a guard that there is not.
    #[must_use]
    pub fn guards(&self, value: &Value) -> bool {
        let guards = match self.standing {
            Kept | Idle(_) => false,
            Guards(_) => true,
            GuardsUnless(harmless, _) => !harmless(value),
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
        assert!(OTHER.windows(2).all(|pair| pair[0].name <= pair[1].name));
        let apart =
            |a: &Field, b: &Field| a.name != b.name || !a.on.chars().any(|of| b.on.contains(of));
        assert!(OTHER.windows(2).all(|pair| apart(&pair[0], &pair[1])), "one field of one of them");
    }

    #[test]
    fn what_has_no_effect_is_told_while_it_is_set() {
        let row = |wanted: &'static str| {
            move |name: &str| (name == "send_invite_email").then_some(wanted)
        };
        let told = warnings_of(row("true"));
        assert_eq!(told, ["send_invite_email: no email is sent; tell the user yourself"]);
        assert_eq!(warnings_of(row("false")), Vec::<String>::new());
        assert_eq!(warnings_of(|_| None), Vec::<String>::new());
    }

    #[test]
    fn a_refusal_says_why() {
        assert!(why_refused("mcp_rpm_limit").contains("MCP"));
        assert_eq!(why_refused("models"), "it bounds nothing there");
    }
}
