--
-- PostgreSQL database dump
--

\restrict RBbDdiI3qnzc7bCGjUUln0KyQWRUId5vh6TdUUap80GG8iWCcNwe3VajpKNhQu3

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

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: LiteLLM_AccessGroupTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_AccessGroupTable" (
    access_group_id text NOT NULL,
    access_group_name text NOT NULL,
    access_model_names text[] DEFAULT ARRAY[]::text[]
);


--
-- Name: LiteLLM_BudgetTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_BudgetTable" (
    budget_id text NOT NULL,
    max_budget double precision,
    soft_budget double precision,
    max_parallel_requests integer,
    tpm_limit bigint,
    rpm_limit bigint,
    model_max_budget jsonb,
    budget_duration text,
    budget_reset_at timestamp(3) without time zone,
    allowed_models text[] DEFAULT ARRAY[]::text[],
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_by text NOT NULL
);


--
-- Name: LiteLLM_Config; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_Config" (
    param_name text NOT NULL,
    param_value jsonb
);


--
-- Name: LiteLLM_CredentialsTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_CredentialsTable" (
    credential_id text NOT NULL,
    credential_name text NOT NULL,
    credential_values jsonb NOT NULL,
    credential_info jsonb,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_by text NOT NULL
);


--
-- Name: LiteLLM_DeletedVerificationToken; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_DeletedVerificationToken" (
    id text NOT NULL,
    token text NOT NULL
);


--
-- Name: LiteLLM_DeprecatedVerificationToken; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_DeprecatedVerificationToken" (
    id text NOT NULL,
    token text NOT NULL,
    active_token_id text NOT NULL,
    revoke_at timestamp(3) with time zone NOT NULL,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


--
-- Name: LiteLLM_EndUserTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_EndUserTable" (
    user_id text NOT NULL,
    alias text,
    spend double precision DEFAULT 0.0 NOT NULL,
    allowed_model_region text,
    default_model text,
    budget_id text,
    object_permission_id text,
    blocked boolean DEFAULT false NOT NULL
);


--
-- Name: LiteLLM_GuardrailsTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_GuardrailsTable" (
    guardrail_id text NOT NULL,
    guardrail_name text NOT NULL
);


--
-- Name: LiteLLM_ModelTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_ModelTable" (
    id integer NOT NULL,
    aliases jsonb,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_by text NOT NULL
);


--
-- Name: LiteLLM_ModelTable_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public."LiteLLM_ModelTable_id_seq"
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: LiteLLM_ModelTable_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public."LiteLLM_ModelTable_id_seq" OWNED BY public."LiteLLM_ModelTable".id;


--
-- Name: LiteLLM_ObjectPermissionTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_ObjectPermissionTable" (
    object_permission_id text NOT NULL,
    mcp_servers text[] DEFAULT ARRAY[]::text[],
    mcp_access_groups text[] DEFAULT ARRAY[]::text[],
    mcp_tool_permissions jsonb,
    vector_stores text[] DEFAULT ARRAY[]::text[],
    agents text[] DEFAULT ARRAY[]::text[]
);


--
-- Name: LiteLLM_OrganizationMembership; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_OrganizationMembership" (
    user_id text NOT NULL,
    organization_id text NOT NULL,
    user_role text,
    spend double precision DEFAULT 0.0,
    budget_id text,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP
);


--
-- Name: LiteLLM_OrganizationTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_OrganizationTable" (
    organization_id text NOT NULL,
    organization_alias text NOT NULL,
    budget_id text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    models text[],
    spend double precision DEFAULT 0.0 NOT NULL,
    model_spend jsonb DEFAULT '{}'::jsonb NOT NULL,
    object_permission_id text,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_by text NOT NULL
);


--
-- Name: LiteLLM_ProxyModelTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_ProxyModelTable" (
    model_id text NOT NULL,
    model_name text NOT NULL,
    litellm_params jsonb NOT NULL,
    model_info jsonb,
    blocked boolean DEFAULT false NOT NULL,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    created_by text NOT NULL,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_by text NOT NULL
);


--
-- Name: LiteLLM_SomethingNew; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_SomethingNew" (
    id text NOT NULL
);


--
-- Name: LiteLLM_SpendLogs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_SpendLogs" (
    request_id text NOT NULL,
    call_type text NOT NULL,
    api_key text NOT NULL,
    spend double precision DEFAULT 0.0 NOT NULL,
    "startTime" timestamp(3) without time zone NOT NULL,
    messages jsonb DEFAULT '{}'::jsonb,
    proxy_server_request text
);


--
-- Name: LiteLLM_TagTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_TagTable" (
    tag_name text NOT NULL,
    description text,
    models text[],
    model_info jsonb,
    spend double precision DEFAULT 0.0 NOT NULL,
    budget_id text,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    created_by text,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


--
-- Name: LiteLLM_TeamMembership; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_TeamMembership" (
    user_id text NOT NULL,
    team_id text NOT NULL,
    spend double precision DEFAULT 0.0 NOT NULL,
    total_spend double precision DEFAULT 0.0 NOT NULL,
    budget_id text
);


--
-- Name: LiteLLM_TeamTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_TeamTable" (
    team_id text NOT NULL,
    team_alias text,
    organization_id text,
    object_permission_id text,
    admins text[],
    members text[],
    members_with_roles jsonb DEFAULT '{}'::jsonb NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    max_budget double precision,
    soft_budget double precision,
    spend double precision DEFAULT 0.0 NOT NULL,
    models text[],
    max_parallel_requests integer,
    tpm_limit bigint,
    rpm_limit bigint,
    budget_duration text,
    budget_reset_at timestamp(3) without time zone,
    blocked boolean DEFAULT false NOT NULL,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    model_spend jsonb DEFAULT '{}'::jsonb NOT NULL,
    model_max_budget jsonb DEFAULT '{}'::jsonb NOT NULL,
    router_settings jsonb DEFAULT '{}'::jsonb,
    team_member_permissions text[] DEFAULT ARRAY[]::text[],
    access_group_ids text[] DEFAULT ARRAY[]::text[],
    policies text[] DEFAULT ARRAY[]::text[],
    default_team_member_models text[] DEFAULT ARRAY[]::text[],
    budget_limits jsonb,
    model_id integer,
    allow_team_guardrail_config boolean DEFAULT false NOT NULL
);


--
-- Name: LiteLLM_UserTable; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_UserTable" (
    user_id text NOT NULL,
    user_alias text,
    team_id text,
    sso_user_id text,
    organization_id text,
    object_permission_id text,
    password text,
    teams text[] DEFAULT ARRAY[]::text[],
    user_role text,
    max_budget double precision,
    spend double precision DEFAULT 0.0 NOT NULL,
    user_email text,
    models text[],
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    max_parallel_requests integer,
    tpm_limit bigint,
    rpm_limit bigint,
    budget_duration text,
    budget_reset_at timestamp(3) without time zone,
    allowed_cache_controls text[] DEFAULT ARRAY[]::text[],
    policies text[] DEFAULT ARRAY[]::text[],
    model_spend jsonb DEFAULT '{}'::jsonb NOT NULL,
    model_max_budget jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP
);


--
-- Name: LiteLLM_VerificationToken; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."LiteLLM_VerificationToken" (
    token text NOT NULL,
    key_name text,
    key_alias text,
    soft_budget_cooldown boolean DEFAULT false NOT NULL,
    spend double precision DEFAULT 0.0 NOT NULL,
    expires timestamp(3) without time zone,
    models text[],
    aliases jsonb DEFAULT '{}'::jsonb NOT NULL,
    config jsonb DEFAULT '{}'::jsonb NOT NULL,
    router_settings jsonb DEFAULT '{}'::jsonb,
    user_id text,
    team_id text,
    agent_id text,
    project_id text,
    permissions jsonb DEFAULT '{}'::jsonb NOT NULL,
    max_parallel_requests integer,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    blocked boolean,
    tpm_limit bigint,
    rpm_limit bigint,
    max_budget double precision,
    budget_duration text,
    budget_reset_at timestamp(3) without time zone,
    allowed_cache_controls text[] DEFAULT ARRAY[]::text[],
    allowed_routes text[] DEFAULT ARRAY[]::text[],
    policies text[] DEFAULT ARRAY[]::text[],
    access_group_ids text[] DEFAULT ARRAY[]::text[],
    model_spend jsonb DEFAULT '{}'::jsonb NOT NULL,
    model_max_budget jsonb DEFAULT '{}'::jsonb NOT NULL,
    budget_id text,
    organization_id text,
    object_permission_id text,
    created_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP,
    created_by text,
    updated_at timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP,
    updated_by text,
    last_active timestamp(3) without time zone,
    rotation_count integer DEFAULT 0,
    auto_rotate boolean DEFAULT false,
    rotation_interval text,
    last_rotation_at timestamp(3) without time zone,
    key_rotation_at timestamp(3) without time zone,
    budget_limits jsonb,
    from_the_future text
);


--
-- Name: notes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.notes (
    id integer,
    text text
);


--
-- Name: LiteLLM_ModelTable id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_ModelTable" ALTER COLUMN id SET DEFAULT nextval('public."LiteLLM_ModelTable_id_seq"'::regclass);


--
-- Data for Name: LiteLLM_AccessGroupTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_AccessGroupTable" (access_group_id, access_group_name, access_model_names) FROM stdin;
ag	beta	{other}
\.


--
-- Data for Name: LiteLLM_BudgetTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_BudgetTable" (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration, budget_reset_at, allowed_models, created_at, created_by, updated_at, updated_by) FROM stdin;
free	1.5	\N	\N	9007199254740993	\N	\N	1d	2099-01-01 00:00:00	{}	2026-11-26 02:26:08.535	admin	2026-11-26 02:26:08.535	admin
org	100	\N	\N	\N	\N	\N	\N	\N	{}	2026-11-26 02:26:08.535	admin	2026-11-26 02:26:08.535	admin
member	0.25	\N	\N	\N	\N	\N	30d	2099-01-01 00:00:00	{}	2026-11-26 02:26:08.535	admin	2026-11-26 02:26:08.535	admin
scoped	5	\N	\N	\N	\N	\N	\N	\N	{chat}	2026-11-26 02:26:08.535	admin	2026-11-26 02:26:08.535	admin
\.


--
-- Data for Name: LiteLLM_Config; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_Config" (param_name, param_value) FROM stdin;
general_settings	{"alerting": ["slack"], "store_model_in_db": true}
litellm_settings	{}
environment_variables	{"SLACK_WEBHOOK_URL": "v3:gcm:x"}
\.


--
-- Data for Name: LiteLLM_CredentialsTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_CredentialsTable" (credential_id, credential_name, credential_values, credential_info, created_at, created_by, updated_at, updated_by) FROM stdin;
c1	upstream	{"api_key": "v3:gcm:5_bAEXdujbfNMwtU1QynJR0ODwZGlvSS_oiX1IdHUgHL_OOE6jvl2GzmHphQ_F1hKQlG"}	{"custom_llm_provider": "openai"}	2026-11-26 02:26:08.548	admin	2026-11-26 02:26:08.548	admin
\.


--
-- Data for Name: LiteLLM_DeletedVerificationToken; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_DeletedVerificationToken" (id, token) FROM stdin;
1	x
\.


--
-- Data for Name: LiteLLM_DeprecatedVerificationToken; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_DeprecatedVerificationToken" (id, token, active_token_id, revoke_at, created_at) FROM stdin;
1	37422bc37442e8ea71f417fb2c8615130622a2d6b03185cb31e1c7bf09f5356a	666bcb371e89b265ca8eecfa6155a1fac0909f118438b496262a1c0bbe76d952	2099-01-01 00:00:00+05:30	2026-11-26 02:26:08.547
2	e8852038f56c54ea47d9f3c8aac74ab2e143c4e1aca2240951f0b94d11e6d618	666bcb371e89b265ca8eecfa6155a1fac0909f118438b496262a1c0bbe76d952	2024-01-01 05:30:00+05:30	2026-11-26 02:26:08.547
\.


--
-- Data for Name: LiteLLM_EndUserTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_EndUserTable" (user_id, alias, spend, allowed_model_region, default_model, budget_id, object_permission_id, blocked) FROM stdin;
seen	\N	4	\N	\N	\N	\N	f
paying	Paying "one"	0.5	\N	\N	free	\N	f
bad	\N	0	\N	\N	\N	\N	t
eu	\N	0	eu	\N	\N	\N	f
\.


--
-- Data for Name: LiteLLM_GuardrailsTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_GuardrailsTable" (guardrail_id, guardrail_name) FROM stdin;
g	pii
\.


--
-- Data for Name: LiteLLM_ModelTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_ModelTable" (id, aliases, created_at, created_by, updated_at, updated_by) FROM stdin;
1	{"mine": "chat"}	2026-11-26 02:26:08.538	admin	2026-11-26 02:26:08.538	admin
\.


--
-- Data for Name: LiteLLM_ObjectPermissionTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_ObjectPermissionTable" (object_permission_id, mcp_servers, mcp_access_groups, mcp_tool_permissions, vector_stores, agents) FROM stdin;
nothing	{}	{}	\N	{}	{}
tools	{github}	{}	\N	{}	{}
\.


--
-- Data for Name: LiteLLM_OrganizationMembership; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_OrganizationMembership" (user_id, organization_id, user_role, spend, budget_id, created_at, updated_at) FROM stdin;
ann	acme	org_admin	0.5	\N	2026-11-26 02:26:08.546	2026-11-26 02:26:08.546
\.


--
-- Data for Name: LiteLLM_OrganizationTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, metadata, models, spend, model_spend, object_permission_id, created_at, created_by, updated_at, updated_by) FROM stdin;
acme	Acme "R&D"\tand\nSons \\ Töchter	org	{}	{}	12.25	{}	nothing	2026-11-26 02:26:08.535	admin	2026-11-26 02:26:08.535	admin
\.


--
-- Data for Name: LiteLLM_ProxyModelTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_ProxyModelTable" (model_id, model_name, litellm_params, model_info, blocked, created_at, created_by, updated_at, updated_by) FROM stdin;
m-box	boxed	{"rpm": 5, "model": "a4ayc_80_OGda4BO_1o_V0etpOqiLx1JlJhpqJjLUmn7rF0cGzBMFUUyAEj4uh8LBo1R5vk=", "api_key": "SyJ3d9TdH8Ycb4hPSGQdArTRIdP9MoywIicNc8QFzkdle0OY-HA-gcgg5p6-YIP34U1xbP0YOjDOwATrtDNT", "use_in_pass_through": false}	{"id": "m-box", "db_model": true}	f	2026-11-26 02:26:08.548	admin	2026-11-26 02:26:08.548	admin
m-gcm	gcm	{"model": "v3:gcm:TgdAhWK-24tgzgXBHZDoY_NzGDiIS_KdfQfCMXhL3N1NUzyxDaYh1NU=", "api_key": "v2:gcm:7y0SfeN7lCuq0GFFu-6aIW_N5C811lZDXX0e-ziZTI6ZDqf_X07sZSkCliLzsBU4CWHZ"}	{"id": "m-gcm"}	f	2026-11-26 02:26:08.548	admin	2026-11-26 02:26:08.548	admin
m-lost	lost	{"model": "v3:gcm:TgdAhWK-24tgzgXBHZDoY_NzGDiIS_KdfQfCMXhL3N1NUzyxDaYh1Nw="}	{}	f	2026-11-26 02:26:08.548	admin	2026-11-26 02:26:08.548	admin
\.


--
-- Data for Name: LiteLLM_SomethingNew; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_SomethingNew" (id) FROM stdin;
1
\.


--
-- Data for Name: LiteLLM_SpendLogs; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_SpendLogs" (request_id, call_type, api_key, spend, "startTime", messages, proxy_server_request) FROM stdin;
r1	acompletion	x	0.1	2024-01-01 00:00:00	{"a": "\\\\."}	COPY public."LiteLLM_UserTable" (user_id) FROM stdin;\neve\n\\.\n'; INSERT INTO "x";
r2	acompletion	x	0.1	2024-01-01 00:00:00	{}	\N
\.


--
-- Data for Name: LiteLLM_TagTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_TagTable" (tag_name, description, models, model_info, spend, budget_id, created_at, created_by, updated_at) FROM stdin;
prod	in production	{}	\N	3.5	org	2026-11-26 02:26:08.548	\N	2026-11-26 02:26:08.548
routed	\N	{a-model-id}	\N	0	\N	2026-11-26 02:26:08.548	\N	2026-11-26 02:26:08.548
\.


--
-- Data for Name: LiteLLM_TeamMembership; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) FROM stdin;
ann	blue	0.0625	9	member
bob	blue	0	0	\N
gone	blue	1	1	\N
carl	old	0	0	scoped
left	old	0	0	member
\.


--
-- Data for Name: LiteLLM_TeamTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_TeamTable" (team_id, team_alias, organization_id, object_permission_id, admins, members, members_with_roles, metadata, max_budget, soft_budget, spend, models, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, blocked, created_at, updated_at, model_spend, model_max_budget, router_settings, team_member_permissions, access_group_ids, policies, default_team_member_models, budget_limits, model_id, allow_team_guardrail_config) FROM stdin;
blue	Blue 'team'	acme	\N	\N	\N	[{"role": "admin", "user_id": "ann", "user_email": null}, {"role": "user", "user_email": "ANN@example.com"}, {"role": "user", "user_id": "bob"}]	{"tags": ["prod", "a, b"], "logging": [{"callback_name": "langfuse"}], "model_rpm_limit": {"chat": 500}, "team_member_budget_id": "member"}	50	\N	7.5	{chat}	\N	\N	1000	30d	2026-12-01 00:00:00	f	2026-11-26 02:26:08.539	2026-11-26 02:26:08.539	{}	{}	{}	{/key/generate,/key/info}	{ag}	{}	{}	\N	1	f
red	\N	\N	\N	\N	\N	{}	{}	\N	\N	0	{}	\N	\N	\N	\N	\N	t	2026-11-26 02:26:08.542	2026-11-26 02:26:08.542	{}	{}	{}	{}	{}	{}	{}	\N	\N	f
guarded	Guarded	\N	\N	\N	\N	{}	{}	\N	\N	0	{}	\N	\N	\N	\N	\N	f	2026-11-26 02:26:08.542	2026-11-26 02:26:08.542	{}	{}	{}	{}	{}	{pii}	{}	\N	\N	f
old	\N	\N	\N	{eve}	{carl,eve}	{}	{}	\N	\N	0	\N	\N	\N	\N	\N	\N	f	2026-11-26 02:26:08.542	2026-11-26 02:26:08.542	{}	{}	{}	{}	{}	{}	{}	\N	\N	f
\.


--
-- Data for Name: LiteLLM_UserTable; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_UserTable" (user_id, user_alias, team_id, sso_user_id, organization_id, object_permission_id, password, teams, user_role, max_budget, spend, user_email, models, metadata, max_parallel_requests, tpm_limit, rpm_limit, budget_duration, budget_reset_at, allowed_cache_controls, policies, model_spend, model_max_budget, created_at, updated_at) FROM stdin;
default_user_id	\N	\N	\N	\N	\N	\N	{}	proxy_admin	\N	3	\N	{}	{}	\N	\N	\N	\N	\N	{}	{}	{}	{}	2026-11-26 02:26:08.539	2026-11-26 02:26:08.539
ann	\N	\N	\N	\N	\N	scrypt:x	{}	internal_user	10	0.125	Ann@Example.com	{chat,other}	{"note": "tab\\t, newline\\n, quote \\", backslash \\\\, ✓"}	\N	\N	\N	\N	\N	{}	{}	{}	{}	2024-02-03 04:05:06.789	2026-11-26 02:26:08.539
ann2	\N	\N	\N	\N	\N	\N	{}	wizard	\N	0	ann@example.com	\N	{}	\N	\N	\N	\N	\N	{}	{}	{}	{}	\N	2026-11-26 02:26:08.539
bob	\N	\N	\N	\N	\N	\N	{}	\N	NaN	0	\N	{}	{}	\N	\N	\N	\N	\N	{}	{}	{}	{}	\N	2026-11-26 02:26:08.539
dora	\N	\N	\N	\N	\N	\N	{}	\N	1	0	\N	\N	{}	\N	\N	\N	\N	\N	{}	{pii}	{}	{}	2026-11-26 02:26:08.539	2026-11-26 02:26:08.539
\.


--
-- Data for Name: LiteLLM_VerificationToken; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."LiteLLM_VerificationToken" (token, key_name, key_alias, soft_budget_cooldown, spend, expires, models, aliases, config, router_settings, user_id, team_id, agent_id, project_id, permissions, max_parallel_requests, metadata, blocked, tpm_limit, rpm_limit, max_budget, budget_duration, budget_reset_at, allowed_cache_controls, allowed_routes, policies, access_group_ids, model_spend, model_max_budget, budget_id, organization_id, object_permission_id, created_at, created_by, updated_at, updated_by, last_active, rotation_count, auto_rotate, rotation_interval, last_rotation_at, key_rotation_at, budget_limits, from_the_future) FROM stdin;
666bcb371e89b265ca8eecfa6155a1fac0909f118438b496262a1c0bbe76d952	sk-...6789	app	f	1.23e-05	\N	{}	{}	{}	{}	ann	\N	\N	\N	{}	\N	{"a": "ä"}	\N	\N	\N	1	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2024-02-03 04:05:06.789	ann	2026-11-26 02:26:08.546	\N	\N	0	f	\N	\N	\N	\N	\N
a8f6b08456c9541b3e24fe7f40bb746da23579571818577c174f2335bc3f11ed	sk-...6789	tab\tnew\nline \\N "quoted" {curly,list} ünïcode ✓	f	0.5	2099-12-31 23:59:59.999	{chat,"with space","a,b","q\\"q","b\\\\s"}	{"fast": "chat"}	{}	{}	bob	blue	\N	\N	{}	\N	{"tags": ["t1"], "enforced_params": ["user"], "model_tpm_limit": {"chat": 100000}}	f	9007199254740993	60	\N	\N	\N	{}	{llm_api_routes}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
cce5c632ba689d199198a0b50525771bf6da37edcd5609d547e84ddc53e87f94	sk-...6789	spent	f	2.000000001	\N	{}	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	\N	\N	\N	2	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
08db6a46693e0e7ef9172a8ebf1e84981eab487971dd80f096b0cde1100bd6ad	sk-...6789	month	f	0.75	\N	{}	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	\N	\N	\N	5	30d	2026-12-01 00:00:00	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
a06d32f82895aa360cc48b317ac923e6716cef07b87fd5950b7fad9f5e4b572a	sk-...6789	over	f	5	\N	{}	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	\N	\N	\N	5	1d	2024-01-01 00:00:00	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
9fe53897c9a3ea22d6e3eed1ddea7f854aca33c47fd5b19660f6ba8f9c135387	sk-...6789	app	f	1	\N	\N	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	\N	\N	\N	5	sometimes	2099-01-01 00:00:00	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
fc374b036ba6cb44211fb3bbb5a1106e29d11dacd2f9ca26d96b6e56aca4f47f	sk-...6789	blocked	f	0	\N	\N	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	t	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
b89acf9826c45e28151fe3d4fa48127d9c449911c1c4a8e046d2a69baf6738fb	sk-...6789	shared	f	0.5	\N	\N	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	free	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
b47befe6f3f145c80d0624aab5684a48a23c42801a9ad26fb2260b4657f701ac	sk-...ui	\N	f	0	2026-11-26 02:26:08.547	\N	{}	{}	{}	\N	litellm-dashboard	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
a5cedb66d9181f3aa125be47242bb801e0fb04bf1584fb4ac5f1232721b97602	sk-...rded	\N	f	0	\N	\N	{}	{}	{}	\N	\N	\N	\N	{}	\N	{"guardrails": ["pii"]}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
88a660dbb781994dc807811b3c26469ea2457e3032a86c6d146b2adce97cfb97	sk-...ools	\N	f	0	\N	\N	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	tools	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
95b25a5af8c94aaeb182bb176032e8f59a1728a8b1aafdf0c1fe4f92c42eb2fa	sk-...phan	\N	f	0	\N	\N	{}	{}	{}	\N	no-such-team	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
f09d8246929d29a0d4739ed560ac03baeb8e4a165a3a2cebdb482a9f2c7da04a	sk-...6789	\N	f	0	\N	\N	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{"chat": {"strange": 5, "time_period": "1d", "budget_limit": 1}}	\N	\N	nothing	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	[{"reset_at": "2099-01-01T00:00:00Z", "max_budget": 3, "budget_duration": "1d"}]	\N
not a hash	sk-...hash	\N	f	0	\N	\N	{}	{}	{}	\N	\N	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
66c8bad4f7008e4fff4f107e0be91abfec5ef4bdd911d37ae72b4ceea6b30b94	sk-...dora	\N	f	0	\N	\N	{}	{}	{}	dora	\N	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
36a08d385a652bcf901d1f401929e6d706455c7da2789158ddd24885c9d5a101	sk-...carl	\N	f	0	\N	\N	{}	{}	{}	carl	old	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
0b656270b2995e2df27f444a4303f6dd6597bbe355aea3adca8118e0b22a7dc8	sk-...left	\N	f	0	\N	\N	{}	{}	{}	left	old	\N	\N	{}	\N	{}	\N	\N	\N	\N	\N	\N	{}	{}	{}	{}	{}	{}	\N	\N	\N	2026-11-26 02:26:08.547	\N	2026-11-26 02:26:08.547	\N	\N	0	f	\N	\N	\N	\N	\N
\.


--
-- Data for Name: notes; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.notes (id, text) FROM stdin;
1	INSERT INTO "LiteLLM_UserTable" VALUES\n('eve');
\.


--
-- Name: LiteLLM_ModelTable_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public."LiteLLM_ModelTable_id_seq"', 1, true);


--
-- Name: LiteLLM_AccessGroupTable LiteLLM_AccessGroupTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_AccessGroupTable"
    ADD CONSTRAINT "LiteLLM_AccessGroupTable_pkey" PRIMARY KEY (access_group_id);


--
-- Name: LiteLLM_BudgetTable LiteLLM_BudgetTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_BudgetTable"
    ADD CONSTRAINT "LiteLLM_BudgetTable_pkey" PRIMARY KEY (budget_id);


--
-- Name: LiteLLM_Config LiteLLM_Config_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_Config"
    ADD CONSTRAINT "LiteLLM_Config_pkey" PRIMARY KEY (param_name);


--
-- Name: LiteLLM_CredentialsTable LiteLLM_CredentialsTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_CredentialsTable"
    ADD CONSTRAINT "LiteLLM_CredentialsTable_pkey" PRIMARY KEY (credential_id);


--
-- Name: LiteLLM_DeletedVerificationToken LiteLLM_DeletedVerificationToken_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_DeletedVerificationToken"
    ADD CONSTRAINT "LiteLLM_DeletedVerificationToken_pkey" PRIMARY KEY (id);


--
-- Name: LiteLLM_DeprecatedVerificationToken LiteLLM_DeprecatedVerificationToken_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_DeprecatedVerificationToken"
    ADD CONSTRAINT "LiteLLM_DeprecatedVerificationToken_pkey" PRIMARY KEY (id);


--
-- Name: LiteLLM_EndUserTable LiteLLM_EndUserTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_EndUserTable"
    ADD CONSTRAINT "LiteLLM_EndUserTable_pkey" PRIMARY KEY (user_id);


--
-- Name: LiteLLM_GuardrailsTable LiteLLM_GuardrailsTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_GuardrailsTable"
    ADD CONSTRAINT "LiteLLM_GuardrailsTable_pkey" PRIMARY KEY (guardrail_id);


--
-- Name: LiteLLM_ModelTable LiteLLM_ModelTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_ModelTable"
    ADD CONSTRAINT "LiteLLM_ModelTable_pkey" PRIMARY KEY (id);


--
-- Name: LiteLLM_ObjectPermissionTable LiteLLM_ObjectPermissionTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_ObjectPermissionTable"
    ADD CONSTRAINT "LiteLLM_ObjectPermissionTable_pkey" PRIMARY KEY (object_permission_id);


--
-- Name: LiteLLM_OrganizationMembership LiteLLM_OrganizationMembership_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_OrganizationMembership"
    ADD CONSTRAINT "LiteLLM_OrganizationMembership_pkey" PRIMARY KEY (user_id, organization_id);


--
-- Name: LiteLLM_OrganizationTable LiteLLM_OrganizationTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_OrganizationTable"
    ADD CONSTRAINT "LiteLLM_OrganizationTable_pkey" PRIMARY KEY (organization_id);


--
-- Name: LiteLLM_ProxyModelTable LiteLLM_ProxyModelTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_ProxyModelTable"
    ADD CONSTRAINT "LiteLLM_ProxyModelTable_pkey" PRIMARY KEY (model_id);


--
-- Name: LiteLLM_SomethingNew LiteLLM_SomethingNew_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_SomethingNew"
    ADD CONSTRAINT "LiteLLM_SomethingNew_pkey" PRIMARY KEY (id);


--
-- Name: LiteLLM_SpendLogs LiteLLM_SpendLogs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_SpendLogs"
    ADD CONSTRAINT "LiteLLM_SpendLogs_pkey" PRIMARY KEY (request_id);


--
-- Name: LiteLLM_TagTable LiteLLM_TagTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_TagTable"
    ADD CONSTRAINT "LiteLLM_TagTable_pkey" PRIMARY KEY (tag_name);


--
-- Name: LiteLLM_TeamMembership LiteLLM_TeamMembership_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_TeamMembership"
    ADD CONSTRAINT "LiteLLM_TeamMembership_pkey" PRIMARY KEY (user_id, team_id);


--
-- Name: LiteLLM_TeamTable LiteLLM_TeamTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_TeamTable"
    ADD CONSTRAINT "LiteLLM_TeamTable_pkey" PRIMARY KEY (team_id);


--
-- Name: LiteLLM_UserTable LiteLLM_UserTable_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_UserTable"
    ADD CONSTRAINT "LiteLLM_UserTable_pkey" PRIMARY KEY (user_id);


--
-- Name: LiteLLM_VerificationToken LiteLLM_VerificationToken_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_VerificationToken"
    ADD CONSTRAINT "LiteLLM_VerificationToken_pkey" PRIMARY KEY (token);


--
-- Name: LiteLLM_OrganizationTable LiteLLM_OrganizationTable_budget_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_OrganizationTable"
    ADD CONSTRAINT "LiteLLM_OrganizationTable_budget_id_fkey" FOREIGN KEY (budget_id) REFERENCES public."LiteLLM_BudgetTable"(budget_id);


--
-- Name: LiteLLM_TeamTable LiteLLM_TeamTable_model_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public."LiteLLM_TeamTable"
    ADD CONSTRAINT "LiteLLM_TeamTable_model_id_fkey" FOREIGN KEY (model_id) REFERENCES public."LiteLLM_ModelTable"(id);


--
-- PostgreSQL database dump complete
--

\unrestrict RBbDdiI3qnzc7bCGjUUln0KyQWRUId5vh6TdUUap80GG8iWCcNwe3VajpKNhQu3

