-- Tables in the column layout of LiteLLM's database, as its migrations leave them.
CREATE TABLE "LiteLLM_BudgetTable" (
  "budget_id" TEXT NOT NULL PRIMARY KEY, "max_budget" DOUBLE PRECISION,
  "soft_budget" DOUBLE PRECISION, "max_parallel_requests" INTEGER, "tpm_limit" BIGINT,
  "rpm_limit" BIGINT, "model_max_budget" JSONB, "budget_duration" TEXT,
  "budget_reset_at" TIMESTAMP(3), "allowed_models" TEXT[] DEFAULT ARRAY[]::TEXT[],
  "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "created_by" TEXT NOT NULL,
  "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT NOT NULL);
CREATE TABLE "LiteLLM_CredentialsTable" (
  "credential_id" TEXT NOT NULL PRIMARY KEY, "credential_name" TEXT NOT NULL,
  "credential_values" JSONB NOT NULL, "credential_info" JSONB,
  "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "created_by" TEXT NOT NULL,
  "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT NOT NULL);
CREATE TABLE "LiteLLM_ProxyModelTable" (
  "model_id" TEXT NOT NULL PRIMARY KEY, "model_name" TEXT NOT NULL,
  "litellm_params" JSONB NOT NULL, "model_info" JSONB, "blocked" BOOLEAN NOT NULL DEFAULT false,
  "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "created_by" TEXT NOT NULL,
  "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT NOT NULL);
CREATE TABLE "LiteLLM_ObjectPermissionTable" (
  "object_permission_id" TEXT NOT NULL PRIMARY KEY, "mcp_servers" TEXT[] DEFAULT ARRAY[]::TEXT[],
  "mcp_access_groups" TEXT[] DEFAULT ARRAY[]::TEXT[], "mcp_tool_permissions" JSONB,
  "vector_stores" TEXT[] DEFAULT ARRAY[]::TEXT[], "agents" TEXT[] DEFAULT ARRAY[]::TEXT[]);
CREATE TABLE "LiteLLM_OrganizationTable" (
  "organization_id" TEXT NOT NULL PRIMARY KEY, "organization_alias" TEXT NOT NULL,
  "budget_id" TEXT NOT NULL REFERENCES "LiteLLM_BudgetTable"("budget_id"),
  "metadata" JSONB NOT NULL DEFAULT '{}', "models" TEXT[],
  "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "model_spend" JSONB NOT NULL DEFAULT '{}',
  "object_permission_id" TEXT,
  "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "created_by" TEXT NOT NULL,
  "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT NOT NULL);
CREATE TABLE "LiteLLM_ModelTable" (
  "id" SERIAL NOT NULL PRIMARY KEY, "aliases" JSONB,
  "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "created_by" TEXT NOT NULL,
  "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT NOT NULL);
CREATE TABLE "LiteLLM_TeamTable" (
  "team_id" TEXT NOT NULL PRIMARY KEY, "team_alias" TEXT, "organization_id" TEXT,
  "object_permission_id" TEXT, "admins" TEXT[], "members" TEXT[],
  "members_with_roles" JSONB NOT NULL DEFAULT '{}', "metadata" JSONB NOT NULL DEFAULT '{}',
  "max_budget" DOUBLE PRECISION, "soft_budget" DOUBLE PRECISION,
  "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "models" TEXT[], "max_parallel_requests" INTEGER,
  "tpm_limit" BIGINT, "rpm_limit" BIGINT, "budget_duration" TEXT, "budget_reset_at" TIMESTAMP(3),
  "blocked" BOOLEAN NOT NULL DEFAULT false,
  "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "model_spend" JSONB NOT NULL DEFAULT '{}', "model_max_budget" JSONB NOT NULL DEFAULT '{}',
  "router_settings" JSONB DEFAULT '{}', "team_member_permissions" TEXT[] DEFAULT ARRAY[]::TEXT[],
  "access_group_ids" TEXT[] DEFAULT ARRAY[]::TEXT[], "policies" TEXT[] DEFAULT ARRAY[]::TEXT[],
  "default_team_member_models" TEXT[] DEFAULT ARRAY[]::TEXT[], "budget_limits" JSONB,
  "model_id" INTEGER REFERENCES "LiteLLM_ModelTable"("id"),
  "allow_team_guardrail_config" BOOLEAN NOT NULL DEFAULT false);
CREATE TABLE "LiteLLM_UserTable" (
  "user_id" TEXT NOT NULL PRIMARY KEY, "user_alias" TEXT, "team_id" TEXT, "sso_user_id" TEXT,
  "organization_id" TEXT, "object_permission_id" TEXT, "password" TEXT,
  "teams" TEXT[] DEFAULT ARRAY[]::TEXT[], "user_role" TEXT, "max_budget" DOUBLE PRECISION,
  "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "user_email" TEXT, "models" TEXT[],
  "metadata" JSONB NOT NULL DEFAULT '{}', "max_parallel_requests" INTEGER, "tpm_limit" BIGINT,
  "rpm_limit" BIGINT, "budget_duration" TEXT, "budget_reset_at" TIMESTAMP(3),
  "allowed_cache_controls" TEXT[] DEFAULT ARRAY[]::TEXT[],
  "policies" TEXT[] DEFAULT ARRAY[]::TEXT[], "model_spend" JSONB NOT NULL DEFAULT '{}',
  "model_max_budget" JSONB NOT NULL DEFAULT '{}',
  "created_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "LiteLLM_VerificationToken" (
  "token" TEXT NOT NULL PRIMARY KEY, "key_name" TEXT, "key_alias" TEXT,
  "soft_budget_cooldown" BOOLEAN NOT NULL DEFAULT false,
  "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "expires" TIMESTAMP(3), "models" TEXT[],
  "aliases" JSONB NOT NULL DEFAULT '{}', "config" JSONB NOT NULL DEFAULT '{}',
  "router_settings" JSONB DEFAULT '{}', "user_id" TEXT, "team_id" TEXT, "agent_id" TEXT,
  "project_id" TEXT, "permissions" JSONB NOT NULL DEFAULT '{}', "max_parallel_requests" INTEGER,
  "metadata" JSONB NOT NULL DEFAULT '{}', "blocked" BOOLEAN, "tpm_limit" BIGINT,
  "rpm_limit" BIGINT, "max_budget" DOUBLE PRECISION, "budget_duration" TEXT,
  "budget_reset_at" TIMESTAMP(3), "allowed_cache_controls" TEXT[] DEFAULT ARRAY[]::TEXT[],
  "allowed_routes" TEXT[] DEFAULT ARRAY[]::TEXT[], "policies" TEXT[] DEFAULT ARRAY[]::TEXT[],
  "access_group_ids" TEXT[] DEFAULT ARRAY[]::TEXT[], "model_spend" JSONB NOT NULL DEFAULT '{}',
  "model_max_budget" JSONB NOT NULL DEFAULT '{}', "budget_id" TEXT, "organization_id" TEXT,
  "object_permission_id" TEXT, "created_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP,
  "created_by" TEXT, "updated_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT,
  "last_active" TIMESTAMP(3), "rotation_count" INTEGER DEFAULT 0,
  "auto_rotate" BOOLEAN DEFAULT false, "rotation_interval" TEXT,
  "last_rotation_at" TIMESTAMP(3), "key_rotation_at" TIMESTAMP(3), "budget_limits" JSONB,
  "from_the_future" TEXT);
-- With a zone, as some operators have it.
CREATE TABLE "LiteLLM_DeprecatedVerificationToken" (
  "id" TEXT NOT NULL PRIMARY KEY, "token" TEXT NOT NULL, "active_token_id" TEXT NOT NULL,
  "revoke_at" TIMESTAMPTZ(3) NOT NULL,
  "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "LiteLLM_DeletedVerificationToken" (
  "id" TEXT NOT NULL PRIMARY KEY, "token" TEXT NOT NULL);
CREATE TABLE "LiteLLM_EndUserTable" (
  "user_id" TEXT NOT NULL PRIMARY KEY, "alias" TEXT,
  "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "allowed_model_region" TEXT,
  "default_model" TEXT, "budget_id" TEXT, "object_permission_id" TEXT,
  "blocked" BOOLEAN NOT NULL DEFAULT false);
CREATE TABLE "LiteLLM_TagTable" (
  "tag_name" TEXT NOT NULL PRIMARY KEY, "description" TEXT, "models" TEXT[], "model_info" JSONB,
  "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "budget_id" TEXT,
  "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "created_by" TEXT,
  "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "LiteLLM_Config" ("param_name" TEXT NOT NULL PRIMARY KEY, "param_value" JSONB);
CREATE TABLE "LiteLLM_SpendLogs" (
  "request_id" TEXT NOT NULL PRIMARY KEY, "call_type" TEXT NOT NULL, "api_key" TEXT NOT NULL,
  "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "startTime" TIMESTAMP(3) NOT NULL,
  "messages" JSONB DEFAULT '{}', "proxy_server_request" TEXT);
CREATE TABLE "LiteLLM_TeamMembership" (
  "user_id" TEXT NOT NULL, "team_id" TEXT NOT NULL,
  "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0,
  "total_spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "budget_id" TEXT,
  PRIMARY KEY ("user_id", "team_id"));
CREATE TABLE "LiteLLM_OrganizationMembership" (
  "user_id" TEXT NOT NULL, "organization_id" TEXT NOT NULL, "user_role" TEXT,
  "spend" DOUBLE PRECISION DEFAULT 0.0, "budget_id" TEXT,
  "created_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY ("user_id", "organization_id"));
CREATE TABLE "LiteLLM_AccessGroupTable" (
  "access_group_id" TEXT NOT NULL PRIMARY KEY, "access_group_name" TEXT NOT NULL,
  "access_model_names" TEXT[] DEFAULT ARRAY[]::TEXT[]);
CREATE TABLE "LiteLLM_GuardrailsTable" (
  "guardrail_id" TEXT NOT NULL PRIMARY KEY, "guardrail_name" TEXT NOT NULL);
CREATE TABLE "LiteLLM_SomethingNew" ("id" TEXT NOT NULL PRIMARY KEY);
CREATE TABLE "notes" ("id" INTEGER, "text" TEXT);
