-- Rows that are hard to read, and some that are not. The clear texts of the keys are in the tests;
-- what is encrypted was made by PyNaCl's SecretBox and by AES-GCM of `cryptography`, under the salt
-- key of the tests.
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, budget_reset_at, created_by, updated_by, tpm_limit) VALUES
  ('free', 1.5, '1d', '2099-01-01 00:00:00', 'admin', 'admin', 9007199254740993),
  ('org', 100, NULL, NULL, 'admin', 'admin', NULL),
  ('member', 0.25, '30d', '2099-01-01 00:00:00', 'admin', 'admin', NULL);
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, allowed_models, created_by, updated_by) VALUES
  ('scoped', 5, '{chat}', 'admin', 'admin');
INSERT INTO "LiteLLM_ObjectPermissionTable" (object_permission_id, mcp_servers) VALUES
  ('nothing', '{}'), ('tools', '{github}');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, spend, object_permission_id, created_by, updated_by) VALUES
  ('acme', E'Acme "R&D"\tand\nSons \\ Töchter', 'org', '{}', 12.25, 'nothing', 'admin', 'admin');
INSERT INTO "LiteLLM_ModelTable" (aliases, created_by, updated_by) VALUES ('{"mine": "chat"}', 'admin', 'admin');
INSERT INTO "LiteLLM_AccessGroupTable" VALUES ('ag', 'beta', '{other}');
INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, max_budget, spend, models, metadata, password, created_at) VALUES
  ('default_user_id', NULL, 'proxy_admin', NULL, 3, '{}', '{}', NULL, now()),
  ('ann', 'Ann@Example.com', 'internal_user', 10, 0.125, '{chat,other}', '{"note": "tab\t, newline\n, quote \", backslash \\, ✓"}', 'scrypt:x', '2024-02-03 04:05:06.789'),
  ('ann2', 'ann@example.com', 'wizard', NULL, 0, NULL, '{}', NULL, NULL),
  ('bob', NULL, NULL, 'NaN', 0, '{}', '{}', NULL, NULL);
INSERT INTO "LiteLLM_UserTable" (user_id, policies, max_budget) VALUES ('dora', '{pii}', 1);
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, metadata, max_budget, spend, models, rpm_limit, budget_duration, budget_reset_at, model_id, access_group_ids, team_member_permissions) VALUES
  ('blue', 'Blue ''team''', 'acme',
   '[{"role": "admin", "user_id": "ann", "user_email": null}, {"role": "user", "user_email": "ANN@example.com"}, {"role": "user", "user_id": "bob"}]',
   '{"tags": ["prod", "a, b"], "team_member_budget_id": "member", "model_rpm_limit": {"chat": 500}, "logging": [{"callback_name": "langfuse"}]}',
   50, 7.5, '{chat}', 1000, '30d', (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month'), 1, '{ag}', '{/key/generate,/key/info}');
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, models, blocked, policies) VALUES
  ('red', NULL, '{}', true, '{}'), ('guarded', 'Guarded', '{}', false, '{pii}');
INSERT INTO "LiteLLM_TeamTable" (team_id, members, admins) VALUES ('old', '{carl,eve}', '{eve}');
INSERT INTO "LiteLLM_TeamMembership" VALUES
  ('ann', 'blue', 0.0625, 9, 'member'), ('bob', 'blue', 0, 0, NULL), ('gone', 'blue', 1, 1, NULL),
  ('carl', 'old', 0, 0, 'scoped'), ('left', 'old', 0, 0, 'member');
INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role, spend) VALUES ('ann', 'acme', 'org_admin', 0.5);
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, spend, models, metadata, max_budget, user_id, created_by, created_at) VALUES
  (encode(sha256('sk-moved-app-0123456789'), 'hex'), 'sk-...6789', 'app', 0.0000123, '{}', '{"a": "\u00e4"}', 1, 'ann', 'ann', '2024-02-03 04:05:06.789');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, spend, models, aliases, metadata, team_id, user_id, tpm_limit, rpm_limit, blocked, allowed_routes, expires) VALUES
  (encode(sha256('sk-moved-team-0123456789'), 'hex'), 'sk-...6789', E'tab\tnew\nline \\N "quoted" {curly,list} ünïcode ✓', 0.5, '{chat,"with space","a,b","q\"q","b\\s"}', '{"fast": "chat"}',
   '{"tags": ["t1"], "enforced_params": ["user"], "model_tpm_limit": {"chat": 100000}}', 'blue', 'bob', 9007199254740993, 60, false, '{llm_api_routes}', '2099-12-31 23:59:59.999');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, spend, max_budget, budget_duration, budget_reset_at, models) VALUES
  (encode(sha256('sk-moved-spent-0123456789'), 'hex'), 'sk-...6789', 'spent', 2.000000001, 2, NULL, NULL, '{}'),
  (encode(sha256('sk-moved-month-0123456789'), 'hex'), 'sk-...6789', 'month', 0.75, 5, '30d', (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month'), '{}'),
  (encode(sha256('sk-moved-over-0123456789'), 'hex'), 'sk-...6789', 'over', 5, 5, '1d', '2024-01-01 00:00:00', '{}'),
  (encode(sha256('sk-moved-odd-0123456789'), 'hex'), 'sk-...6789', 'app', 1, 5, 'sometimes', '2099-01-01 00:00:00', NULL);
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, blocked, budget_id, spend) VALUES
  (encode(sha256('sk-moved-blocked-0123456789'), 'hex'), 'sk-...6789', 'blocked', true, NULL, 0),
  (encode(sha256('sk-moved-shared-0123456789'), 'hex'), 'sk-...6789', 'shared', NULL, 'free', 0.5);
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, team_id, metadata, object_permission_id, model_max_budget, budget_limits, expires) VALUES
  (encode(sha256('sk-ui'), 'hex'), 'sk-...ui', 'litellm-dashboard', '{}', NULL, '{}', NULL, now()),
  (encode(sha256('sk-guarded'), 'hex'), 'sk-...rded', NULL, '{"guardrails": ["pii"]}', NULL, '{}', NULL, NULL),
  (encode(sha256('sk-tools'), 'hex'), 'sk-...ools', NULL, '{}', 'tools', '{}', NULL, NULL),
  (encode(sha256('sk-orphan'), 'hex'), 'sk-...phan', 'no-such-team', '{}', NULL, '{}', NULL, NULL),
  (encode(sha256('sk-moved-models-0123456789'), 'hex'), 'sk-...6789', NULL, '{}', 'nothing', '{"chat": {"budget_limit": 1, "time_period": "1d", "strange": 5}}', '[{"budget_duration": "1d", "max_budget": 3, "reset_at": "2099-01-01T00:00:00Z"}]', NULL),
  ('not a hash', 'sk-...hash', NULL, '{}', NULL, '{}', NULL, NULL);
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, team_id, user_id) VALUES
  (encode(sha256('sk-of-dora'), 'hex'), 'sk-...dora', NULL, 'dora'),
  (encode(sha256('sk-of-carl'), 'hex'), 'sk-...carl', 'old', 'carl'),
  (encode(sha256('sk-of-left'), 'hex'), 'sk-...left', 'old', 'left');
INSERT INTO "LiteLLM_DeprecatedVerificationToken" (id, token, active_token_id, revoke_at) VALUES
  ('1', encode(sha256('sk-moved-former-0123456789'), 'hex'), encode(sha256('sk-moved-app-0123456789'), 'hex'), '2099-01-01 00:00:00+05:30'),
  ('2', encode(sha256('sk-older'), 'hex'), encode(sha256('sk-moved-app-0123456789'), 'hex'), '2024-01-01 00:00:00+00');
INSERT INTO "LiteLLM_DeletedVerificationToken" VALUES ('1', 'x');
INSERT INTO "LiteLLM_EndUserTable" (user_id, alias, spend, budget_id, blocked, allowed_model_region) VALUES
  ('seen', NULL, 4, NULL, false, NULL), ('paying', 'Paying "one"', 0.5, 'free', false, NULL),
  ('bad', NULL, 0, NULL, true, NULL), ('eu', NULL, 0, NULL, false, 'eu');
INSERT INTO "LiteLLM_TagTable" (tag_name, description, models, spend, budget_id) VALUES
  ('prod', 'in production', '{}', 3.5, 'org'), ('routed', NULL, '{a-model-id}', 0, NULL);
INSERT INTO "LiteLLM_ProxyModelTable" (model_id, model_name, litellm_params, model_info, created_by, updated_by) VALUES
  ('m-box', 'boxed', '{"model": "a4ayc_80_OGda4BO_1o_V0etpOqiLx1JlJhpqJjLUmn7rF0cGzBMFUUyAEj4uh8LBo1R5vk=", "api_key": "SyJ3d9TdH8Ycb4hPSGQdArTRIdP9MoywIicNc8QFzkdle0OY-HA-gcgg5p6-YIP34U1xbP0YOjDOwATrtDNT", "rpm": 5, "use_in_pass_through": false}', '{"id": "m-box", "db_model": true}', 'admin', 'admin'),
  ('m-gcm', 'gcm', '{"model": "v3:gcm:TgdAhWK-24tgzgXBHZDoY_NzGDiIS_KdfQfCMXhL3N1NUzyxDaYh1NU=", "api_key": "v2:gcm:7y0SfeN7lCuq0GFFu-6aIW_N5C811lZDXX0e-ziZTI6ZDqf_X07sZSkCliLzsBU4CWHZ"}', '{"id": "m-gcm"}', 'admin', 'admin'),
  ('m-lost', 'lost', '{"model": "v3:gcm:TgdAhWK-24tgzgXBHZDoY_NzGDiIS_KdfQfCMXhL3N1NUzyxDaYh1Nw="}', '{}', 'admin', 'admin');
INSERT INTO "LiteLLM_CredentialsTable" (credential_id, credential_name, credential_values, credential_info, created_by, updated_by) VALUES
  ('c1', 'upstream', '{"api_key": "v3:gcm:5_bAEXdujbfNMwtU1QynJR0ODwZGlvSS_oiX1IdHUgHL_OOE6jvl2GzmHphQ_F1hKQlG"}', '{"custom_llm_provider": "openai"}', 'admin', 'admin');
INSERT INTO "LiteLLM_Config" VALUES
  ('general_settings', '{"store_model_in_db": true, "alerting": ["slack"]}'), ('litellm_settings', '{}'),
  ('environment_variables', '{"SLACK_WEBHOOK_URL": "v3:gcm:x"}');
INSERT INTO "LiteLLM_SpendLogs" VALUES
  ('r1', 'acompletion', 'x', 0.1, '2024-01-01', '{"a": "\\."}', E'COPY public."LiteLLM_UserTable" (user_id) FROM stdin;\neve\n\\.\n''; INSERT INTO "x";'),
  ('r2', 'acompletion', 'x', 0.1, '2024-01-01', '{}', NULL);
INSERT INTO "LiteLLM_GuardrailsTable" VALUES ('g', 'pii');
INSERT INTO "LiteLLM_SomethingNew" VALUES ('1');
INSERT INTO "notes" VALUES (1, E'INSERT INTO "LiteLLM_UserTable" VALUES\n(''eve'');');
