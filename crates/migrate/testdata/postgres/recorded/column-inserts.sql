--
-- PostgreSQL database dump
--

\restrict xHzi6aOnsJvihy1oGBEYpsMGBqqzJDoerbPU4mHCwyn2dGnNL3pD6EhkD8x6Z11

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Data for Name: LiteLLM_AccessGroupTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_AccessGroupTable" (access_group_id, access_group_name, access_model_names) VALUES ('ag', 'beta', '{other}');


--
-- Data for Name: LiteLLM_BudgetTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_BudgetTable" (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration, budget_reset_at, allowed_models, created_at, created_by, updated_at, updated_by) VALUES ('free', 1.5, NULL, NULL, 9007199254740993, NULL, NULL, '1d', '2099-01-01 00:00:00', '{}', '2026-11-26 02:26:08.535', 'admin', '2026-11-26 02:26:08.535', 'admin');
INSERT INTO public."LiteLLM_BudgetTable" (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration, budget_reset_at, allowed_models, created_at, created_by, updated_at, updated_by) VALUES ('org', 100, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', '2026-11-26 02:26:08.535', 'admin', '2026-11-26 02:26:08.535', 'admin');
INSERT INTO public."LiteLLM_BudgetTable" (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration, budget_reset_at, allowed_models, created_at, created_by, updated_at, updated_by) VALUES ('member', 0.25, NULL, NULL, NULL, NULL, NULL, '30d', '2099-01-01 00:00:00', '{}', '2026-11-26 02:26:08.535', 'admin', '2026-11-26 02:26:08.535', 'admin');
INSERT INTO public."LiteLLM_BudgetTable" (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration, budget_reset_at, allowed_models, created_at, created_by, updated_at, updated_by) VALUES ('scoped', 5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{chat}', '2026-11-26 02:26:08.535', 'admin', '2026-11-26 02:26:08.535', 'admin');


--
-- Data for Name: LiteLLM_Config; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_Config" (param_name, param_value) VALUES ('general_settings', '{"alerting": ["slack"], "store_model_in_db": true}');
INSERT INTO public."LiteLLM_Config" (param_name, param_value) VALUES ('litellm_settings', '{}');
INSERT INTO public."LiteLLM_Config" (param_name, param_value) VALUES ('environment_variables', '{"SLACK_WEBHOOK_URL": "v3:gcm:x"}');


--
-- Data for Name: LiteLLM_CredentialsTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_CredentialsTable" (credential_id, credential_name, credential_values, credential_info, created_at, created_by, updated_at, updated_by) VALUES ('c1', 'upstream', '{"api_key": "v3:gcm:5_bAEXdujbfNMwtU1QynJR0ODwZGlvSS_oiX1IdHUgHL_OOE6jvl2GzmHphQ_F1hKQlG"}', '{"custom_llm_provider": "openai"}', '2026-11-26 02:26:08.548', 'admin', '2026-11-26 02:26:08.548', 'admin');


--
-- Data for Name: LiteLLM_DeletedVerificationToken; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_DeletedVerificationToken" (id, token) VALUES ('1', 'x');


--
-- Data for Name: LiteLLM_DeprecatedVerificationToken; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_DeprecatedVerificationToken" (id, token, active_token_id, revoke_at, created_at) VALUES ('1', '37422bc37442e8ea71f417fb2c8615130622a2d6b03185cb31e1c7bf09f5356a', '666bcb371e89b265ca8eecfa6155a1fac0909f118438b496262a1c0bbe76d952', '2099-01-01 00:00:00+05:30', '2026-11-26 02:26:08.547');
INSERT INTO public."LiteLLM_DeprecatedVerificationToken" (id, token, active_token_id, revoke_at, created_at) VALUES ('2', 'e8852038f56c54ea47d9f3c8aac74ab2e143c4e1aca2240951f0b94d11e6d618', '666bcb371e89b265ca8eecfa6155a1fac0909f118438b496262a1c0bbe76d952', '2024-01-01 05:30:00+05:30', '2026-11-26 02:26:08.547');


--
-- Data for Name: LiteLLM_EndUserTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_EndUserTable" (user_id, alias, spend, allowed_model_region, default_model, budget_id, object_permission_id, blocked) VALUES ('seen', NULL, 4, NULL, NULL, NULL, NULL, false);
INSERT INTO public."LiteLLM_EndUserTable" (user_id, alias, spend, allowed_model_region, default_model, budget_id, object_permission_id, blocked) VALUES ('paying', 'Paying "one"', 0.5, NULL, NULL, 'free', NULL, false);
INSERT INTO public."LiteLLM_EndUserTable" (user_id, alias, spend, allowed_model_region, default_model, budget_id, object_permission_id, blocked) VALUES ('bad', NULL, 0, NULL, NULL, NULL, NULL, true);
INSERT INTO public."LiteLLM_EndUserTable" (user_id, alias, spend, allowed_model_region, default_model, budget_id, object_permission_id, blocked) VALUES ('eu', NULL, 0, 'eu', NULL, NULL, NULL, false);


--
-- Data for Name: LiteLLM_GuardrailsTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_GuardrailsTable" (guardrail_id, guardrail_name) VALUES ('g', 'pii');


--
-- Data for Name: LiteLLM_ModelTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_ModelTable" (id, aliases, created_at, created_by, updated_at, updated_by) VALUES (1, '{"mine": "chat"}', '2026-11-26 02:26:08.538', 'admin', '2026-11-26 02:26:08.538', 'admin');


--
-- Data for Name: LiteLLM_ObjectPermissionTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_ObjectPermissionTable" (object_permission_id, mcp_servers, mcp_access_groups, mcp_tool_permissions, vector_stores, agents) VALUES ('nothing', '{}', '{}', NULL, '{}', '{}');
INSERT INTO public."LiteLLM_ObjectPermissionTable" (object_permission_id, mcp_servers, mcp_access_groups, mcp_tool_permissions, vector_stores, agents) VALUES ('tools', '{github}', '{}', NULL, '{}', '{}');


--
-- Data for Name: LiteLLM_OrganizationMembership; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_OrganizationMembership" (user_id, organization_id, user_role, spend, budget_id, created_at, updated_at) VALUES ('ann', 'acme', 'org_admin', 0.5, NULL, '2026-11-26 02:26:08.546', '2026-11-26 02:26:08.546');


--
-- Data for Name: LiteLLM_OrganizationTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, metadata, models, spend, model_spend, object_permission_id, created_at, created_by, updated_at, updated_by) VALUES ('acme', 'Acme "R&D"	and
Sons \ Töchter', 'org', '{}', '{}', 12.25, '{}', 'nothing', '2026-11-26 02:26:08.535', 'admin', '2026-11-26 02:26:08.535', 'admin');


--
-- Data for Name: LiteLLM_ProxyModelTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_ProxyModelTable" (model_id, model_name, litellm_params, model_info, blocked, created_at, created_by, updated_at, updated_by) VALUES ('m-box', 'boxed', '{"rpm": 5, "model": "a4ayc_80_OGda4BO_1o_V0etpOqiLx1JlJhpqJjLUmn7rF0cGzBMFUUyAEj4uh8LBo1R5vk=", "api_key": "SyJ3d9TdH8Ycb4hPSGQdArTRIdP9MoywIicNc8QFzkdle0OY-HA-gcgg5p6-YIP34U1xbP0YOjDOwATrtDNT", "use_in_pass_through": false}', '{"id": "m-box", "db_model": true}', false, '2026-11-26 02:26:08.548', 'admin', '2026-11-26 02:26:08.548', 'admin');
INSERT INTO public."LiteLLM_ProxyModelTable" (model_id, model_name, litellm_params, model_info, blocked, created_at, created_by, updated_at, updated_by) VALUES ('m-gcm', 'gcm', '{"model": "v3:gcm:TgdAhWK-24tgzgXBHZDoY_NzGDiIS_KdfQfCMXhL3N1NUzyxDaYh1NU=", "api_key": "v2:gcm:7y0SfeN7lCuq0GFFu-6aIW_N5C811lZDXX0e-ziZTI6ZDqf_X07sZSkCliLzsBU4CWHZ"}', '{"id": "m-gcm"}', false, '2026-11-26 02:26:08.548', 'admin', '2026-11-26 02:26:08.548', 'admin');
INSERT INTO public."LiteLLM_ProxyModelTable" (model_id, model_name, litellm_params, model_info, blocked, created_at, created_by, updated_at, updated_by) VALUES ('m-lost', 'lost', '{"model": "v3:gcm:TgdAhWK-24tgzgXBHZDoY_NzGDiIS_KdfQfCMXhL3N1NUzyxDaYh1Nw="}', '{}', false, '2026-11-26 02:26:08.548', 'admin', '2026-11-26 02:26:08.548', 'admin');


--
-- Data for Name: LiteLLM_SomethingNew; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_SomethingNew" (id) VALUES ('1');


--
-- Data for Name: LiteLLM_SpendLogs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_SpendLogs" (request_id, call_type, api_key, spend, "startTime", messages, proxy_server_request) VALUES ('r1', 'acompletion', 'x', 0.1, '2024-01-01 00:00:00', '{"a": "\\."}', 'COPY public."LiteLLM_UserTable" (user_id) FROM stdin;
eve
\.
''; INSERT INTO "x";');
INSERT INTO public."LiteLLM_SpendLogs" (request_id, call_type, api_key, spend, "startTime", messages, proxy_server_request) VALUES ('r2', 'acompletion', 'x', 0.1, '2024-01-01 00:00:00', '{}', NULL);


--
-- Data for Name: LiteLLM_TagTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_TagTable" (tag_name, description, models, model_info, spend, budget_id, created_at, created_by, updated_at) VALUES ('prod', 'in production', '{}', NULL, 3.5, 'org', '2026-11-26 02:26:08.548', NULL, '2026-11-26 02:26:08.548');
INSERT INTO public."LiteLLM_TagTable" (tag_name, description, models, model_info, spend, budget_id, created_at, created_by, updated_at) VALUES ('routed', NULL, '{a-model-id}', NULL, 0, NULL, '2026-11-26 02:26:08.548', NULL, '2026-11-26 02:26:08.548');


--
-- Data for Name: LiteLLM_TeamMembership; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('ann', 'blue', 0.0625, 9, 'member');
INSERT INTO public."LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('bob', 'blue', 0, 0, NULL);
INSERT INTO public."LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('gone', 'blue', 1, 1, NULL);
INSERT INTO public."LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('carl', 'old', 0, 0, 'scoped');
INSERT INTO public."LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('left', 'old', 0, 0, 'member');


--
-- Data for Name: LiteLLM_TeamTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_TeamTable" (team_id, team_alias, organization_id, object_permission_id, admins, members, members_with_roles, metadata, max_budget, soft_budget, spend, models, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, blocked, created_at, updated_at, model_spend, model_max_budget, router_settings, team_member_permissions, access_group_ids, policies, default_team_member_models, budget_limits, model_id, allow_team_guardrail_config) VALUES ('blue', 'Blue ''team''', 'acme', NULL, NULL, NULL, '[{"role": "admin", "user_id": "ann", "user_email": null}, {"role": "user", "user_email": "ANN@example.com"}, {"role": "user", "user_id": "bob"}]', '{"tags": ["prod", "a, b"], "logging": [{"callback_name": "langfuse"}], "model_rpm_limit": {"chat": 500}, "team_member_budget_id": "member"}', 50, NULL, 7.5, '{chat}', NULL, NULL, 1000, '30d', '2026-12-01 00:00:00', false, '2026-11-26 02:26:08.539', '2026-11-26 02:26:08.539', '{}', '{}', '{}', '{/key/generate,/key/info}', '{ag}', '{}', '{}', NULL, 1, false);
INSERT INTO public."LiteLLM_TeamTable" (team_id, team_alias, organization_id, object_permission_id, admins, members, members_with_roles, metadata, max_budget, soft_budget, spend, models, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, blocked, created_at, updated_at, model_spend, model_max_budget, router_settings, team_member_permissions, access_group_ids, policies, default_team_member_models, budget_limits, model_id, allow_team_guardrail_config) VALUES ('red', NULL, NULL, NULL, NULL, NULL, '{}', '{}', NULL, NULL, 0, '{}', NULL, NULL, NULL, NULL, NULL, true, '2026-11-26 02:26:08.542', '2026-11-26 02:26:08.542', '{}', '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, false);
INSERT INTO public."LiteLLM_TeamTable" (team_id, team_alias, organization_id, object_permission_id, admins, members, members_with_roles, metadata, max_budget, soft_budget, spend, models, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, blocked, created_at, updated_at, model_spend, model_max_budget, router_settings, team_member_permissions, access_group_ids, policies, default_team_member_models, budget_limits, model_id, allow_team_guardrail_config) VALUES ('guarded', 'Guarded', NULL, NULL, NULL, NULL, '{}', '{}', NULL, NULL, 0, '{}', NULL, NULL, NULL, NULL, NULL, false, '2026-11-26 02:26:08.542', '2026-11-26 02:26:08.542', '{}', '{}', '{}', '{}', '{}', '{pii}', '{}', NULL, NULL, false);
INSERT INTO public."LiteLLM_TeamTable" (team_id, team_alias, organization_id, object_permission_id, admins, members, members_with_roles, metadata, max_budget, soft_budget, spend, models, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, blocked, created_at, updated_at, model_spend, model_max_budget, router_settings, team_member_permissions, access_group_ids, policies, default_team_member_models, budget_limits, model_id, allow_team_guardrail_config) VALUES ('old', NULL, NULL, NULL, '{eve}', '{carl,eve}', '{}', '{}', NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, false, '2026-11-26 02:26:08.542', '2026-11-26 02:26:08.542', '{}', '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, false);


--
-- Data for Name: LiteLLM_UserTable; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_UserTable" (user_id, user_alias, team_id, sso_user_id, organization_id, object_permission_id, password, teams, user_role, max_budget, spend, user_email, models, metadata, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, allowed_cache_controls, policies, model_spend, model_max_budget, created_at, updated_at) VALUES ('default_user_id', NULL, NULL, NULL, NULL, NULL, NULL, '{}', 'proxy_admin', NULL, 3, NULL, '{}', '{}', NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '2026-11-26 02:26:08.539', '2026-11-26 02:26:08.539');
INSERT INTO public."LiteLLM_UserTable" (user_id, user_alias, team_id, sso_user_id, organization_id, object_permission_id, password, teams, user_role, max_budget, spend, user_email, models, metadata, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, allowed_cache_controls, policies, model_spend, model_max_budget, created_at, updated_at) VALUES ('ann', NULL, NULL, NULL, NULL, NULL, 'scrypt:x', '{}', 'internal_user', 10, 0.125, 'Ann@Example.com', '{chat,other}', '{"note": "tab\t, newline\n, quote \", backslash \\, ✓"}', NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '2024-02-03 04:05:06.789', '2026-11-26 02:26:08.539');
INSERT INTO public."LiteLLM_UserTable" (user_id, user_alias, team_id, sso_user_id, organization_id, object_permission_id, password, teams, user_role, max_budget, spend, user_email, models, metadata, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, allowed_cache_controls, policies, model_spend, model_max_budget, created_at, updated_at) VALUES ('ann2', NULL, NULL, NULL, NULL, NULL, NULL, '{}', 'wizard', NULL, 0, 'ann@example.com', NULL, '{}', NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', NULL, '2026-11-26 02:26:08.539');
INSERT INTO public."LiteLLM_UserTable" (user_id, user_alias, team_id, sso_user_id, organization_id, object_permission_id, password, teams, user_role, max_budget, spend, user_email, models, metadata, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, allowed_cache_controls, policies, model_spend, model_max_budget, created_at, updated_at) VALUES ('bob', NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, 'NaN', 0, NULL, '{}', '{}', NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', NULL, '2026-11-26 02:26:08.539');
INSERT INTO public."LiteLLM_UserTable" (user_id, user_alias, team_id, sso_user_id, organization_id, object_permission_id, password, teams, user_role, max_budget, spend, user_email, models, metadata, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, allowed_cache_controls, policies, model_spend, model_max_budget, created_at, updated_at) VALUES ('dora', NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, 1, 0, NULL, NULL, '{}', NULL, NULL, NULL, NULL, NULL, '{}', '{pii}', '{}', '{}', '2026-11-26 02:26:08.539', '2026-11-26 02:26:08.539');


--
-- Data for Name: LiteLLM_VerificationToken; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('666bcb371e89b265ca8eecfa6155a1fac0909f118438b496262a1c0bbe76d952', 'sk-...6789', 'app', false, 1.23e-05, NULL, '{}', '{}', '{}', '{}', 'ann', NULL, NULL, NULL, '{}', NULL, '{"a": "ä"}', NULL, NULL, NULL, 1, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2024-02-03 04:05:06.789', 'ann', '2026-11-26 02:26:08.546', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('a8f6b08456c9541b3e24fe7f40bb746da23579571818577c174f2335bc3f11ed', 'sk-...6789', 'tab	new
line \N "quoted" {curly,list} ünïcode ✓', false, 0.5, '2099-12-31 23:59:59.999', '{chat,"with space","a,b","q\"q","b\\s"}', '{"fast": "chat"}', '{}', '{}', 'bob', 'blue', NULL, NULL, '{}', NULL, '{"tags": ["t1"], "enforced_params": ["user"], "model_tpm_limit": {"chat": 100000}}', false, 9007199254740993, 60, NULL, NULL, NULL, '{}', '{llm_api_routes}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('cce5c632ba689d199198a0b50525771bf6da37edcd5609d547e84ddc53e87f94', 'sk-...6789', 'spent', false, 2.000000001, NULL, '{}', '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, 2, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('08db6a46693e0e7ef9172a8ebf1e84981eab487971dd80f096b0cde1100bd6ad', 'sk-...6789', 'month', false, 0.75, NULL, '{}', '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, 5, '30d', '2026-12-01 00:00:00', '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('a06d32f82895aa360cc48b317ac923e6716cef07b87fd5950b7fad9f5e4b572a', 'sk-...6789', 'over', false, 5, NULL, '{}', '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, 5, '1d', '2024-01-01 00:00:00', '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('9fe53897c9a3ea22d6e3eed1ddea7f854aca33c47fd5b19660f6ba8f9c135387', 'sk-...6789', 'app', false, 1, NULL, NULL, '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, 5, 'sometimes', '2099-01-01 00:00:00', '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('fc374b036ba6cb44211fb3bbb5a1106e29d11dacd2f9ca26d96b6e56aca4f47f', 'sk-...6789', 'blocked', false, 0, NULL, NULL, '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', true, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('b89acf9826c45e28151fe3d4fa48127d9c449911c1c4a8e046d2a69baf6738fb', 'sk-...6789', 'shared', false, 0.5, NULL, NULL, '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', 'free', NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('b47befe6f3f145c80d0624aab5684a48a23c42801a9ad26fb2260b4657f701ac', 'sk-...ui', NULL, false, 0, '2026-11-26 02:26:08.547', NULL, '{}', '{}', '{}', NULL, 'litellm-dashboard', NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('a5cedb66d9181f3aa125be47242bb801e0fb04bf1584fb4ac5f1232721b97602', 'sk-...rded', NULL, false, 0, NULL, NULL, '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{"guardrails": ["pii"]}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('88a660dbb781994dc807811b3c26469ea2457e3032a86c6d146b2adce97cfb97', 'sk-...ools', NULL, false, 0, NULL, NULL, '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, 'tools', '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('95b25a5af8c94aaeb182bb176032e8f59a1728a8b1aafdf0c1fe4f92c42eb2fa', 'sk-...phan', NULL, false, 0, NULL, NULL, '{}', '{}', '{}', NULL, 'no-such-team', NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('f09d8246929d29a0d4739ed560ac03baeb8e4a165a3a2cebdb482a9f2c7da04a', 'sk-...6789', NULL, false, 0, NULL, NULL, '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{"chat": {"strange": 5, "time_period": "1d", "budget_limit": 1}}', NULL, NULL, 'nothing', '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, '[{"reset_at": "2099-01-01T00:00:00Z", "max_budget": 3, "budget_duration": "1d"}]', NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('not a hash', 'sk-...hash', NULL, false, 0, NULL, NULL, '{}', '{}', '{}', NULL, NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('66c8bad4f7008e4fff4f107e0be91abfec5ef4bdd911d37ae72b4ceea6b30b94', 'sk-...dora', NULL, false, 0, NULL, NULL, '{}', '{}', '{}', 'dora', NULL, NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('36a08d385a652bcf901d1f401929e6d706455c7da2789158ddd24885c9d5a101', 'sk-...carl', NULL, false, 0, NULL, NULL, '{}', '{}', '{}', 'carl', 'old', NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) VALUES ('0b656270b2995e2df27f444a4303f6dd6597bbe355aea3adca8118e0b22a7dc8', 'sk-...left', NULL, false, 0, NULL, NULL, '{}', '{}', '{}', 'left', 'old', NULL, NULL, '{}', NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-26 02:26:08.547', NULL, '2026-11-26 02:26:08.547', NULL, NULL, 0, false, NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: notes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.notes (id, text) VALUES (1, 'INSERT INTO "LiteLLM_UserTable" VALUES
(''eve'');');


--
-- Name: LiteLLM_ModelTable_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public."LiteLLM_ModelTable_id_seq"', 1, true);


--
-- PostgreSQL database dump complete
--

\unrestrict xHzi6aOnsJvihy1oGBEYpsMGBqqzJDoerbPU4mHCwyn2dGnNL3pD6EhkD8x6Z11

