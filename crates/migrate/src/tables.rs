//! LiteLLM's tables: which are read, with which columns, and what becomes of the others.

/// What becomes of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    /// Its rows are read.
    Read,
    /// Nothing is lost without it.
    Needless(&'static str),
    /// It cannot be taken over.
    Unsupported(&'static str),
}

/// One table.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The columns that tell its rows apart, if it is read.
    pub(crate) id: &'static [&'static str],
    /// All its columns, of all versions, if it is read.
    pub(crate) columns: &'static str,
    pub(crate) r#use: Use,
}

const GUARDRAILS: &str = "guardrails are not carried out by this version: put them into a service in front of dunlin or \
     behind it";
const MCP: &str = "MCP servers are not served by this version: connect clients to them directly";
const AGENTS: &str = "agents are not served by this version";
const STORES: &str = "files, batches and vector stores that LiteLLM renamed are known to it alone: use them by their \
     providers' own ids";
const HISTORY: &str = "history: it stays in LiteLLM's database";
const USAGE: &str = "usage of before the move: it stays in LiteLLM's database";
const PASSING: &str = "a passing state of LiteLLM's own";
const UI: &str = "settings of LiteLLM's own pages";

/// By name.
static TABLES: &[Table] = &[
    read(
        "LiteLLM_AccessGroupTable",
        &["access_group_id"],
        "access_agent_ids access_group_id access_group_name access_mcp_server_ids \
         access_model_names assigned_key_ids assigned_team_ids created_at created_by description \
         updated_at updated_by",
    ),
    needless("LiteLLM_AdaptiveRouterSession", PASSING),
    needless("LiteLLM_AdaptiveRouterState", PASSING),
    unsupported("LiteLLM_AgentsTable", AGENTS),
    needless("LiteLLM_AuditLog", HISTORY),
    read(
        "LiteLLM_BudgetTable",
        &["budget_id"],
        "allowed_models budget_duration budget_id budget_reset_at created_at created_by max_budget \
         max_parallel_requests model_max_budget rpm_limit soft_budget tpm_limit updated_at \
         updated_by",
    ),
    unsupported("LiteLLM_CacheConfig", "answers are not cached by this version"),
    unsupported("LiteLLM_ClaudeCodePluginTable", "plugins are not served by this version"),
    read("LiteLLM_Config", &["param_name"], "param_name param_value"),
    unsupported(
        "LiteLLM_ConfigOverrides",
        "settings are not read from a database: write them into the config file",
    ),
    read(
        "LiteLLM_CredentialsTable",
        &["credential_name"],
        "created_at created_by credential_id credential_info credential_name credential_values \
         updated_at updated_by",
    ),
    needless("LiteLLM_CronJob", PASSING),
    needless("LiteLLM_DailyAgentSpend", USAGE),
    needless("LiteLLM_DailyEndUserSpend", USAGE),
    needless("LiteLLM_DailyGuardrailMetrics", USAGE),
    needless("LiteLLM_DailyOrganizationSpend", USAGE),
    needless("LiteLLM_DailyPolicyMetrics", USAGE),
    needless("LiteLLM_DailyTagSpend", USAGE),
    needless("LiteLLM_DailyTeamSpend", USAGE),
    needless("LiteLLM_DailyUserSpend", USAGE),
    needless("LiteLLM_DeletedTeamTable", HISTORY),
    needless("LiteLLM_DeletedVerificationToken", "keys that were deleted work nowhere"),
    read(
        "LiteLLM_DeprecatedVerificationToken",
        &["token"],
        "active_token_id created_at id revoke_at token",
    ),
    read(
        "LiteLLM_EndUserTable",
        &["user_id"],
        "alias allowed_model_region blocked budget_id default_model object_permission_id spend \
         user_id",
    ),
    needless("LiteLLM_ErrorLogs", HISTORY),
    unsupported("LiteLLM_GuardrailsTable", GUARDRAILS),
    needless("LiteLLM_HealthCheckTable", HISTORY),
    needless("LiteLLM_InvitationLink", UI),
    unsupported(
        "LiteLLM_JWTKeyMapping",
        "callers are not known by tokens of an identity provider in this version: give them keys",
    ),
    unsupported("LiteLLM_MCPServerTable", MCP),
    unsupported("LiteLLM_MCPToolsetTable", MCP),
    unsupported("LiteLLM_MCPUserCredentials", MCP),
    unsupported("LiteLLM_ManagedFileTable", STORES),
    unsupported("LiteLLM_ManagedObjectTable", STORES),
    unsupported("LiteLLM_ManagedVectorStoreIndexTable", STORES),
    unsupported("LiteLLM_ManagedVectorStoreTable", STORES),
    unsupported("LiteLLM_ManagedVectorStoresTable", STORES),
    unsupported("LiteLLM_MemoryTable", "memories are not kept by this version"),
    read("LiteLLM_ModelTable", &["id"], "aliases created_at created_by id updated_at updated_by"),
    read(
        "LiteLLM_ObjectPermissionTable",
        &["object_permission_id"],
        "agent_access_groups agents blocked_tools mcp_access_groups mcp_servers \
         mcp_tool_permissions mcp_toolsets models object_permission_id search_tools vector_stores",
    ),
    read(
        "LiteLLM_OrganizationMembership",
        &["organization_id", "user_id"],
        "budget_id created_at organization_id spend updated_at user_id user_role",
    ),
    read(
        "LiteLLM_OrganizationTable",
        &["organization_id"],
        "budget_id created_at created_by metadata model_spend models object_permission_id \
         organization_alias organization_id spend updated_at updated_by",
    ),
    unsupported("LiteLLM_PolicyAttachmentTable", GUARDRAILS),
    unsupported("LiteLLM_PolicyTable", GUARDRAILS),
    unsupported(
        "LiteLLM_ProjectTable",
        "projects are not known to this version: keys of one are not imported; move them to a team",
    ),
    unsupported("LiteLLM_PromptTable", "prompts are not kept by this version"),
    read(
        "LiteLLM_ProxyModelTable",
        &["model_id"],
        "blocked created_at created_by litellm_params model_id model_info model_name updated_at \
         updated_by",
    ),
    unsupported(
        "LiteLLM_SSOConfig",
        "users do not sign in with an identity provider in this version: give them keys",
    ),
    unsupported("LiteLLM_SearchToolsTable", "search tools are not served by this version"),
    unsupported("LiteLLM_SkillsTable", "skills are not kept by this version"),
    needless("LiteLLM_SpendLogGuardrailIndex", USAGE),
    needless("LiteLLM_SpendLogToolIndex", USAGE),
    needless(
        "LiteLLM_SpendLogs",
        "the log of requests of before the move: it stays in LiteLLM's database",
    ),
    read(
        "LiteLLM_TagTable",
        &["tag_name"],
        "budget_id created_at created_by description model_info models spend tag_name updated_at",
    ),
    read(
        "LiteLLM_TeamMembership",
        &["team_id", "user_id"],
        "budget_id spend team_id total_spend user_id",
    ),
    read(
        "LiteLLM_TeamTable",
        &["team_id"],
        "access_group_ids admins allow_team_guardrail_config blocked budget_duration budget_limits \
         budget_reset_at created_at default_team_member_models max_budget max_parallel_requests \
         members members_with_roles metadata model_id model_max_budget model_spend models \
         object_permission_id organization_id policies router_settings rpm_limit soft_budget spend \
         team_alias team_id team_member_permissions tpm_limit updated_at",
    ),
    unsupported("LiteLLM_ToolTable", "policies on tools are not carried out by this version"),
    needless("LiteLLM_UISettings", UI),
    needless("LiteLLM_UserNotifications", UI),
    read(
        "LiteLLM_UserTable",
        &["user_id"],
        "allowed_cache_controls budget_duration budget_reset_at created_at max_budget \
         max_parallel_requests metadata model_max_budget model_spend models object_permission_id \
         organization_id password policies rpm_limit spend sso_user_id team_id teams tpm_limit \
         updated_at user_alias user_email user_id user_role",
    ),
    read(
        "LiteLLM_VerificationToken",
        &["token"],
        "access_group_ids agent_id aliases allowed_cache_controls allowed_routes auto_rotate \
         blocked budget_duration budget_id budget_limits budget_reset_at config created_at \
         created_by expires key_alias key_name key_rotation_at last_active last_rotation_at \
         max_budget max_parallel_requests metadata model_max_budget model_spend models \
         object_permission_id organization_id permissions policies project_id rotation_count \
         rotation_interval router_settings rpm_limit soft_budget_cooldown spend team_id token \
         tpm_limit updated_at updated_by user_id",
    ),
    needless("LiteLLM_WorkflowEvent", HISTORY),
    needless("LiteLLM_WorkflowMessage", HISTORY),
    needless("LiteLLM_WorkflowRun", HISTORY),
    needless("_prisma_migrations", "there is no database to migrate"),
];

const fn read(name: &'static str, id: &'static [&'static str], columns: &'static str) -> Table {
    Table { name, id, columns, r#use: Use::Read }
}

const fn needless(name: &'static str, why: &'static str) -> Table {
    Table { name, id: &[], columns: "", r#use: Use::Needless(why) }
}

const fn unsupported(name: &'static str, why: &'static str) -> Table {
    Table { name, id: &[], columns: "", r#use: Use::Unsupported(why) }
}

/// What is known of a table.
pub(crate) fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_columns_stand_there_once_and_in_order() {
        assert!(TABLES.windows(2).all(|pair| pair[0].name < pair[1].name));
        for table in TABLES {
            let columns: Vec<_> = table.columns.split_whitespace().collect();
            assert!(columns.windows(2).all(|pair| pair[0] < pair[1]), "{}", table.name);
            assert!(table.id.iter().all(|id| columns.contains(id)), "{}", table.name);
            assert_eq!(table.id.is_empty(), columns.is_empty(), "{}", table.name);
        }
    }
}
