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
const PLUGINS: &str = "plugins are not served by this version";
const SSO: &str = "users do not sign in with an identity provider in this version: give them keys";
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
         access_model_names access_skill_names assigned_key_ids assigned_team_ids created_at \
         created_by description mcp_tool_permissions updated_at updated_by",
    ),
    needless("LiteLLM_AdaptiveRouterSession", PASSING),
    needless("LiteLLM_AdaptiveRouterState", PASSING),
    unsupported("LiteLLM_AgentIdentity", AGENTS),
    unsupported("LiteLLM_AgentsTable", AGENTS),
    needless("LiteLLM_AuditLog", HISTORY),
    needless("LiteLLM_AutoRouterBaselineComparison", PASSING),
    needless("LiteLLM_AutoRouterBaselineObservation", PASSING),
    needless("LiteLLM_AutoRouterDailySpend", USAGE),
    needless("LiteLLM_AutoRouterSession", PASSING),
    needless("LiteLLM_AutoRouterUserSession", PASSING),
    needless("LiteLLM_BackgroundInteractionSettlement", PASSING),
    read(
        "LiteLLM_BudgetTable",
        &["budget_id"],
        "allowed_models budget_duration budget_id budget_reset_at created_at created_by \
         max_budget max_parallel_requests model_max_budget rpm_limit soft_budget \
         temp_budget_expiry temp_budget_increase tpd_limit tpm_limit updated_at updated_by",
    ),
    needless(
        "LiteLLM_BudgetWindowSpend",
        "what was spent in budget_limits: the windows begin at 0",
    ),
    unsupported("LiteLLM_CacheConfig", "answers are not cached by this version"),
    needless("LiteLLM_ClaudeCodePluginDownload", HISTORY),
    unsupported("LiteLLM_ClaudeCodePluginTable", PLUGINS),
    unsupported("LiteLLM_ClaudeCodePluginUpload", PLUGINS),
    unsupported("LiteLLM_ClaudeCodePluginVersion", PLUGINS),
    read("LiteLLM_Config", &["param_name"], "last_run_at param_name param_value reload_revision"),
    unsupported(
        "LiteLLM_ConfigOverrides",
        "settings are not read from a database: write them into the config file",
    ),
    read(
        "LiteLLM_CredentialsTable",
        &["credential_name"],
        "created_at created_by credential_id credential_info credential_name credential_values \
         display_name updated_at updated_by",
    ),
    needless("LiteLLM_CronJob", PASSING),
    needless("LiteLLM_DailyAgentSpend", USAGE),
    needless("LiteLLM_DailyEndUserSpend", USAGE),
    needless("LiteLLM_DailyGatewayFailedRequests", USAGE),
    needless("LiteLLM_DailyGatewayRequests", USAGE),
    needless("LiteLLM_DailyGlobalSpend", USAGE),
    needless("LiteLLM_DailyGuardrailMetrics", USAGE),
    needless("LiteLLM_DailyGuardrailUsageUnits", USAGE),
    needless("LiteLLM_DailyModelUsage", USAGE),
    needless("LiteLLM_DailyOrganizationSpend", USAGE),
    needless("LiteLLM_DailyPolicyMetrics", USAGE),
    needless("LiteLLM_DailyRequestErrors", USAGE),
    needless("LiteLLM_DailyTagSpend", USAGE),
    needless("LiteLLM_DailyTeamSpend", USAGE),
    needless("LiteLLM_DailyToolSpend", USAGE),
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
        "alias allowed_model_region blocked budget_id default_model models object_permission_id \
         spend user_id",
    ),
    needless("LiteLLM_ErrorLogs", HISTORY),
    unsupported("LiteLLM_GuardrailsTable", GUARDRAILS),
    needless("LiteLLM_HealthCheckTable", HISTORY),
    needless("LiteLLM_InvitationLink", UI),
    unsupported(
        "LiteLLM_JWTKeyMapping",
        "callers are not known by tokens of an identity provider in this version: give them keys",
    ),
    needless("LiteLLM_Lens", UI),
    needless("LiteLLM_LensDataset", UI),
    needless("LiteLLM_LensIngestionKey", UI),
    needless("LiteLLM_LensReview", UI),
    needless("LiteLLM_LensRun", UI),
    needless("LiteLLM_LensSignalConfig", UI),
    needless("LiteLLM_LensTraceSignal", UI),
    needless("LiteLLM_LensWorker", UI),
    unsupported("LiteLLM_MCPServerOAuthClient", MCP),
    unsupported("LiteLLM_MCPServerTable", MCP),
    unsupported("LiteLLM_MCPToolsetTable", MCP),
    unsupported("LiteLLM_MCPUserCredentials", MCP),
    unsupported("LiteLLM_MCPUserEnvVars", MCP),
    unsupported("LiteLLM_ManagedFileContentTable", STORES),
    unsupported("LiteLLM_ManagedFileTable", STORES),
    unsupported("LiteLLM_ManagedObjectTable", STORES),
    unsupported("LiteLLM_ManagedVectorStoreIndexTable", STORES),
    unsupported("LiteLLM_ManagedVectorStoreTable", STORES),
    unsupported("LiteLLM_ManagedVectorStoresTable", STORES),
    unsupported("LiteLLM_MemoryTable", "memories are not kept by this version"),
    unsupported(
        "LiteLLM_ModelAccessGroupBudgetTable",
        "budgets of access groups are not imported: give them anew with PUT /access_group/{access_group}/budget",
    ),
    read("LiteLLM_ModelTable", &["id"], "aliases created_at created_by id updated_at updated_by"),
    read(
        "LiteLLM_ObjectPermissionTable",
        &["object_permission_id"],
        "agent_access_groups agents blocked_tools mcp_access_groups mcp_servers \
         mcp_tool_permissions mcp_tool_search_enabled mcp_toolsets models object_permission_id \
         search_tools skills vector_stores",
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
    needless("LiteLLM_ProxyWorkerHeartbeat", PASSING),
    needless("LiteLLM_RetiredAgent", HISTORY),
    needless("LiteLLM_RetiredAgentIdentity", HISTORY),
    unsupported("LiteLLM_SSOConfig", SSO),
    needless("LiteLLM_SSOIdentityAssertion", PASSING),
    unsupported("LiteLLM_SearchToolsTable", "search tools are not served by this version"),
    needless("LiteLLM_ShadowEvalAttempt", HISTORY),
    needless("LiteLLM_ShadowEvalFunnel", HISTORY),
    needless("LiteLLM_ShadowEvalJob", HISTORY),
    needless("LiteLLM_SkillSubmission", HISTORY),
    unsupported("LiteLLM_SkillsTable", "skills are not kept by this version"),
    needless("LiteLLM_SpendLogDelivery", PASSING),
    needless("LiteLLM_SpendLogGuardrailIndex", USAGE),
    needless("LiteLLM_SpendLogToolIndex", USAGE),
    needless(
        "LiteLLM_SpendLogs",
        "the log of requests of before the move: it stays in LiteLLM's database",
    ),
    unsupported(
        "LiteLLM_SubscriptionAccountTable",
        "accounts with a monthly fee are not known to this version",
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
        "access_group_ids admins allow_team_guardrail_config blocked budget_duration \
         budget_limits budget_reset_at created_at default_team_member_models max_budget \
         max_parallel_requests members members_with_roles metadata model_id model_max_budget \
         model_spend models object_permission_id organization_id policies router_settings \
         rpm_limit soft_budget spend team_alias team_id team_member_permissions tpd_limit \
         tpm_limit updated_at",
    ),
    needless("LiteLLM_TelemetryReport", HISTORY),
    unsupported("LiteLLM_ToolTable", "policies on tools are not carried out by this version"),
    needless("LiteLLM_UISettings", UI),
    needless("LiteLLM_UserNotifications", UI),
    unsupported(
        "LiteLLM_UserProviderCredentials",
        "credentials of single users for providers are not kept by this version",
    ),
    read(
        "LiteLLM_UserTable",
        &["user_id"],
        "allowed_cache_controls budget_duration budget_reset_at created_at last_breach_check_at \
         max_budget max_parallel_requests metadata model_max_budget model_spend models \
         object_permission_id organization_id password password_reset_required policies \
         rpm_limit spend sso_user_id team_id teams tpm_limit updated_at user_alias user_email \
         user_id user_role",
    ),
    read(
        "LiteLLM_VerificationToken",
        &["token"],
        "access_group_ids agent_id aliases allowed_cache_controls allowed_routes auto_rotate \
         blocked budget_duration budget_fallbacks budget_id budget_limits budget_reset_at \
         config created_at created_by expires key_alias key_name key_rotation_at key_type \
         last_active last_rotation_at max_budget max_parallel_requests metadata \
         model_max_budget model_spend models object_permission_id organization_id permissions \
         policies project_id rotation_count rotation_interval router_settings rpm_limit \
         settings_updated_at soft_budget_cooldown spend team_id token total_spend tpd_limit \
         tpm_limit updated_at updated_by user_id",
    ),
    unsupported("LiteLLM_VerifiedSubject", SSO),
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
