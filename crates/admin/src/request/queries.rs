//! What a query may say at each path. A name that looks like a misspelt one of these is refused,
//! because the answer would be about other things than were asked for; other unknown names are
//! ignored, as LiteLLM does. The paths of the request log refuse all of them: see `log_query`.

use crate::error::Error;
use crate::request::fault::{Fault, meant};

/// Paths, and the names that they know. Some are LiteLLM's alone, and accepted.
static KNOWN: &[(&[&str], &[&str])] = &[
    (
        &["/audit"],
        &[
            "action",
            "changed_by",
            "changed_by_api_key",
            "end_date",
            "object_id",
            "object_key_hash",
            "object_team_id",
            "page",
            "page_size",
            "sort_by",
            "sort_order",
            "start_date",
            "table_name",
        ],
    ),
    (&["/budget/settings"], &["budget_id"]),
    (&["/config/diff"], &["from", "to"]),
    (&["/config/field/info"], &["config_type", "field_name"]),
    (&["/config/list"], &["config_type"]),
    (&["/config/revision"], &["revision"]),
    (&["/customer/info", "/end_user/info"], &["end_user_id"]),
    (
        &[
            "/agent/daily/activity",
            "/agent/daily/activity/aggregated",
            "/customer/daily/activity",
            "/customer/daily/activity/aggregated",
            "/end_user/daily/activity",
            "/end_user/daily/activity/aggregated",
            "/organization/daily/activity",
            "/organization/daily/activity/aggregated",
            "/tag/daily/activity",
            "/tag/daily/activity/aggregated",
            "/team/daily/activity",
            "/team/daily/activity/aggregated",
            "/user/daily/activity",
            "/user/daily/activity/aggregated",
        ],
        &[
            "agent_ids",
            "api_key",
            "end_date",
            "end_user_ids",
            "exclude_agent_ids",
            "exclude_end_user_ids",
            "exclude_organization_ids",
            "exclude_tags",
            "exclude_team_ids",
            "exclude_user_ids",
            "last_days",
            "model",
            "organization_ids",
            "page",
            "page_size",
            "start_date",
            "tags",
            "team_ids",
            "timezone",
            "user_id",
        ],
    ),
    (&["/fallback", "/fallback/{model}"], &["fallback_type", "model"]),
    (
        &["/global/activity", "/global/activity/cache_hits", "/global/activity/model"],
        &["end_date", "last_days", "start_date"],
    ),
    (
        &[
            "/global/spend/keys",
            "/global/spend/logs",
            "/global/spend/models",
            "/global/spend/provider",
            "/global/spend/tags",
            "/global/spend/teams",
            "/spend/models",
            "/spend/tags",
        ],
        &["api_key", "end_date", "last_days", "limit", "start_date", "tags"],
    ),
    (
        &["/global/spend/report"],
        &[
            "api_key",
            "customer_id",
            "end_date",
            "group_by",
            "internal_user_id",
            "last_days",
            "start_date",
            "team_id",
        ],
    ),
    (&["/health"], &["model", "model_id"]),
    (&["/health/services"], &["service"]),
    (&["/key/aliases"], &["page", "search", "size"]),
    (&["/key/info"], &["key"]),
    (
        &["/key/list"],
        &[
            "expand",
            "include_created_by_keys",
            "include_team_keys",
            "key_alias",
            "key_hash",
            "organization_id",
            "page",
            "return_full_object",
            "search",
            "size",
            "sort_by",
            "sort_order",
            "status",
            "team_id",
            "user_id",
        ],
    ),
    (&["/organization/info"], &["organization_id"]),
    (&["/organization/list"], &["org_alias", "org_id"]),
    (&["/spend/keys", "/spend/users"], &["page", "page_size", "user_id"]),
    (&["/team/info", "/team/permissions_list"], &["team_id"]),
    (
        &["/team/list", "/v2/team/list"],
        &[
            "organization_id",
            "page",
            "page_size",
            "search",
            "sort_by",
            "sort_order",
            "status",
            "team_alias",
            "team_id",
            "user_id",
        ],
    ),
    (&["/user/info", "/v2/user/info"], &["user_id"]),
    (
        &["/user/list"],
        &[
            "organization_ids",
            "page",
            "page_size",
            "role",
            "search",
            "sort_by",
            "sort_order",
            "sso_user_ids",
            "team",
            "user_email",
            "user_ids",
        ],
    ),
];

/// Refuses names that are a slip of one that the path knows.
pub(crate) fn check(path: &str, query: &[(String, String)]) -> Result<(), Error> {
    if query.is_empty() {
        return Ok(());
    }
    let known = KNOWN.iter().find(|(paths, _)| paths.contains(&path));
    let known = known.map_or(&[][..], |(_, names)| names);
    let short = |name: &str| {
        let ids = [format!("{name}_id"), format!("{name}_ids")];
        known.iter().copied().find(|known| ids.iter().any(|id| id == known))
    };
    let slips = query.iter().filter_map(|(name, _)| {
        Some((name, short(name).or_else(|| meant(name, known.iter().copied()))?))
    });
    let faults: Vec<_> = slips
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, meant)| {
            let msg = format!("Unknown parameter `{name}`; did you mean `{meant}`?");
            Fault::of("query", name, "extra_forbidden", msg)
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_there_once_with_names_of_its_own() {
        let (_, table) = crate::endpoints::all().done();
        let paths: Vec<_> = KNOWN.iter().flat_map(|(paths, _)| *paths).collect();
        for path in &paths {
            assert!(table.iter().any(|route| route.path == **path), "{path} is not served");
            assert_eq!(paths.iter().filter(|other| *other == path).count(), 1, "{path}");
        }
        for (paths, names) in KNOWN {
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{paths:?}");
        }
    }

    #[test]
    fn a_slip_is_told_with_what_was_meant_and_a_stranger_is_ignored() {
        let of = |path: &str, name: &str| check(path, &[(name.to_owned(), "x".to_owned())]);
        for (path, slip, name) in [
            ("/audit", "actoin", "action"),
            ("/audit", "pagesize", "page_size"),
            ("/key/list", "teamid", "team_id"),
            ("/user/list", "user_emial", "user_email"),
            ("/user/info", "userid", "user_id"),
            ("/team/info", "team_ids", "team_id"),
            ("/team/info", "team", "team_id"),
            ("/team/daily/activity", "team", "team_ids"),
            ("/team/daily/activity", "team_id", "team_ids"),
            ("/global/spend/report", "strat_date", "start_date"),
        ] {
            let Err(refused @ Error::Invalid(_)) = of(path, slip) else { panic!("{path} {slip}") };
            let expected = format!("{slip}: Unknown parameter `{slip}`; did you mean `{name}`?");
            assert_eq!(refused.told(), expected);
            assert!(of(path, name).is_ok() && of(path, "my_own").is_ok(), "{path}");
        }
        assert!(of("/cluster/status", "nodes").is_ok(), "a path that knows none");
    }
}
