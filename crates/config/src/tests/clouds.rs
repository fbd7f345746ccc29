//! Identities of clouds and trust in servers, from LiteLLM's parameters.

use dunlin_llm::Buckets;
use dunlin_router::{Deployment, Region};
use dunlin_types::{
    AwsKeys, AwsRole, AwsSource, AzureLogin, AzureSource, GoogleSource, Secret, Source, Trust,
};

use super::{deployment, document, loaded, said};
use crate::{Environment, Options, Provider, load};

/// Loads `params` as the parameters of one deployment, with clouds among the providers.
fn one(params: &str, variables: &[(&str, &str)]) -> Deployment {
    let text = format!("model_list: [{{model_name: m, litellm_params: {{{params}}}}}]");
    let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let default_base = Some("https://cloud.example");
    let named = |id| Provider { id, default_base, ..Provider::default() };
    let mut providers = ["azure", "openai", "vertex_ai"].map(named).to_vec();
    providers.push(Provider { id: "bedrock", ..Provider::default() });
    let options = Options { providers, ..Options::default() };
    let outcome = load(&document(&text), &Environment::new(pairs.collect()), &options);
    let said = format!("{:?}", outcome.diagnostics);
    let loaded = outcome.loaded.unwrap_or_else(|| panic!("{params}: {said}"));
    deployment(&loaded, "m", 0)
}

fn target(params: &str, variables: &[(&str, &str)]) -> (dunlin_llm::Target, Option<String>) {
    let deployment = one(params, variables);
    (deployment.target, deployment.parked.as_deref().map(str::to_owned))
}

/// Each set of parameters has its source.
fn check(cases: &[(&str, Option<Source>)]) {
    for (params, expected) in cases {
        let (target, parked) = target(params, &[("AWS_REGION", "eu-west-1")]);
        assert_eq!(target.identity, *expected, "{params}");
        assert_eq!(parked, None, "{params}");
    }
}

#[test]
fn a_deployment_in_a_cloud_is_where_it_is_asked_unless_it_is_said_otherwise() {
    let bedrock = |model: &str, more: &str| {
        let params = format!("model: 'bedrock/{model}', aws_region_name: eu-west-1{more}");
        let one = one(&params, &[]);
        assert_eq!(one.target.region.as_deref(), Some("eu-west-1"), "{params}");
        one.region
    };
    assert_eq!(bedrock("eu.amazon.nova-pro-v1:0", ""), Some(Region::Eu));
    assert_eq!(bedrock("global.amazon.nova-pro-v1:0", ""), None);
    assert_eq!(bedrock("m", ", region_name: us"), Some(Region::Us));
    let vertex = "model: vertex_ai/gemini-2.5-pro, vertex_project: p, vertex_location: us-east4";
    assert_eq!(one(vertex, &[]).region, Some(Region::Us));
}

#[test]
fn keys_and_roles_of_aws_are_told_from_the_parameters() {
    let role = |arn: &str, session: Option<&str>| AwsRole {
        arn: arn.into(),
        session_name: session.map(Into::into),
        external_id: None,
    };
    let aws = |keys, role, region: Option<&str>| {
        let region = region.map(Into::into);
        Some(Source::Aws(AwsSource { keys, role, region, sts_endpoint: None }))
    };
    let keys = AwsKeys::Static {
        access_key_id: "AK".into(),
        secret_access_key: Secret::new("SK"),
        session_token: None,
    };
    let web = AwsKeys::WebIdentity { token_file: "/t".into(), role: role("arn", Some("s")) };
    check(&[
        ("model: openai/m, api_key: k", None),
        ("model: bedrock/m, api_key: k", None),
        ("model: bedrock/m", aws(AwsKeys::Default, None, Some("eu-west-1"))),
        (
            "model: bedrock/m, aws_region_name: r, aws_access_key_id: AK, aws_secret_access_key: SK",
            aws(keys.clone(), None, Some("r")),
        ),
        (
            "model: bedrock/m, aws_access_key_id: AK, aws_secret_access_key: SK, aws_role_name: arn",
            aws(keys, Some(role("arn", None)), Some("eu-west-1")),
        ),
        (
            "model: bedrock/m, aws_profile_name: p",
            aws(AwsKeys::Profile("p".into()), None, Some("eu-west-1")),
        ),
        (
            "model: bedrock/m, aws_role_name: arn, aws_session_name: s, \
             aws_web_identity_token: oidc/file//t",
            aws(web, None, Some("eu-west-1")),
        ),
    ]);
    let (target, _) = target("model: bedrock/m, aws_region_name: r", &[]);
    assert_eq!(target.region.as_deref(), Some("r"));
}

#[test]
fn logins_of_azure_and_google_are_told_from_the_parameters() {
    let azure = |login| Some(Source::Azure(AzureSource { login, scope: None }));
    let google = |source| Some(Source::Google(source));
    check(&[
        ("model: azure/m, api_key: k", None),
        ("model: azure/m", azure(AzureLogin::Default)),
        ("model: azure/m, azure_ad_token: t", azure(AzureLogin::Token(Secret::new("t")))),
        (
            "model: azure/m, tenant_id: t, client_id: c, client_secret: s",
            azure(AzureLogin::ClientSecret {
                tenant_id: "t".into(),
                client_id: "c".into(),
                client_secret: Secret::new("s"),
            }),
        ),
        (
            "model: azure/m, azure_ad_token: oidc/file//t, client_id: c",
            azure(AzureLogin::WorkloadIdentity {
                tenant_id: None,
                client_id: Some("c".into()),
                token_file: Some("/t".into()),
            }),
        ),
        (
            "model: azure/m, client_id: c",
            azure(AzureLogin::ManagedIdentity { client_id: Some("c".into()) }),
        ),
        ("model: vertex_ai/m", google(GoogleSource::Default)),
        (
            "model: vertex_ai/m, vertex_credentials: /a.json",
            google(GoogleSource::File("/a.json".into())),
        ),
        (
            "model: vertex_ai/m, vertex_credentials: {type: service_account}",
            google(GoogleSource::Inline(Secret::new(r#"{"type":"service_account"}"#))),
        ),
    ]);
}

#[test]
fn vertex_is_found_by_its_location_and_project() {
    let inline = r#"vertex_credentials: '{"project_id": "of-key"}'"#;
    for (params, variables, base, region, project) in [
        (
            "vertex_project: p",
            &[][..],
            "https://us-central1-aiplatform.googleapis.com",
            "us-central1",
            Some("p"),
        ),
        (
            "vertex_project: p, vertex_location: global",
            &[],
            "https://aiplatform.googleapis.com",
            "global",
            Some("p"),
        ),
        (
            "vertex_ai_project: p, vertex_ai_location: eu",
            &[],
            "https://aiplatform.eu.rep.googleapis.com",
            "eu",
            Some("p"),
        ),
        (
            "api_base: 'http://h/', vertex_location: eu-west1",
            &[("VERTEXAI_PROJECT", "v")],
            "http://h",
            "eu-west1",
            Some("v"),
        ),
        (
            "order: 1",
            &[
                ("VERTEXAI_LOCATION", "a-b"),
                ("GOOGLE_CLOUD_PROJECT", "g"),
                ("VERTEXAI_API_BASE", "http://e"),
            ],
            "http://e",
            "a-b",
            Some("g"),
        ),
        (
            inline,
            &[],
            "https://us-central1-aiplatform.googleapis.com",
            "us-central1",
            Some("of-key"),
        ),
        ("api_key: k", &[], "https://us-central1-aiplatform.googleapis.com", "us-central1", None),
    ] {
        let text = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: vertex_ai/gemini-x, {params}}}}}]"
        );
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let vertex = Provider {
            id: "vertex_ai",
            base_variables: &["VERTEXAI_API_BASE"],
            ..Provider::default()
        };
        let options = Options { providers: vec![vertex], ..Options::default() };
        let outcome = load(&document(&text), &Environment::new(pairs.collect()), &options);
        let said = format!("{:?}", outcome.diagnostics);
        let loaded = outcome.loaded.unwrap_or_else(|| panic!("{params}: {said}"));
        let target = deployment(&loaded, "m", 0).target;
        assert_eq!(&*target.api_base, base, "{params}");
        assert_eq!((target.region.as_deref(), target.project.as_deref()), (Some(region), project));
    }
}

#[test]
fn half_an_identity_parks_its_deployment() {
    for (params, why) in [
        ("model: bedrock/m, aws_access_key_id: os.environ/NONE", "`NONE` is not set"),
        ("model: azure/m, client_secret: s", "no client_id"),
        ("model: azure/m, azure_ad_token: oidc/google/aud", "must name a file"),
        ("model: vertex_ai/m, vertex_credentials: os.environ/NONE", "`NONE` is not set"),
    ] {
        let (_, parked) = target(params, &[]);
        assert!(parked.as_ref().is_some_and(|said| said.contains(why)), "{params}: {parked:?}");
    }
}

#[test]
fn servers_are_trusted_as_the_closest_setting_says() {
    let file = |path: &str| Trust::PublicAnd(path.into());
    type Case = (&'static str, &'static [(&'static str, &'static str)], Trust);
    let cases: [Case; 9] = [
        ("", &[], Trust::Public),
        (", ssl_verify: false", &[], Trust::Anyone),
        (", ssl_verify: /ca.pem", &[], file("/ca.pem")),
        ("", &[("SSL_CERT_FILE", "/env.pem")], file("/env.pem")),
        ("", &[("SSL_VERIFY", "False")], Trust::Anyone),
        ("", &[("SSL_VERIFY", "/env.pem")], file("/env.pem")),
        (", ssl_verify: true", &[("SSL_VERIFY", "False")], Trust::Public),
        (", ssl_verify: 'True'", &[("SSL_CERT_FILE", "/env.pem")], file("/env.pem")),
        (", ssl_verify: false", &[("SSL_CERT_FILE", "/env.pem")], Trust::Anyone),
    ];
    for (params, variables, expected) in cases {
        let (target, _) = target(&format!("model: openai/m, api_key: k{params}"), variables);
        assert_eq!(target.tls.trust, expected, "{params:?} {variables:?}");
    }
    let (own, _) = target(
        "model: openai/m, api_key: k, ssl_certificate: /own.pem",
        &[("SSL_CERTIFICATE", "/env.pem")],
    );
    assert_eq!(own.tls.client_certificate.as_deref(), Some("/own.pem"));
    let text = "{litellm_settings: {ssl_verify: false, ssl_certificate: /c.pem}, model_list: [
        {model_name: open, litellm_params: {model: openai/m, api_key: k}},
        {model_name: plain, litellm_params: {model: openai/m, api_base: 'http://h', api_key: k}},
        {model_name: kept, litellm_params: {model: openai/m, api_key: k, ssl_verify: true}}]}";
    let settings = loaded(text).settings.tls;
    assert_eq!(settings.trust, Trust::Anyone);
    assert_eq!(settings.client_certificate.as_deref(), Some("/c.pem"));
    let said = said(text);
    assert!(said.contains("warning[DL0121]: certificates are not checked for: open\n"), "{said}");
}

#[test]
fn a_model_on_bedrock_is_where_its_region_is() {
    let east = [("AWS_REGION", "us-east-1")];
    let aws = |region: &str| format!("https://bedrock-runtime.{region}.amazonaws.com");
    for (params, region, base) in [
        ("model: bedrock/m", "us-east-1", aws("us-east-1")),
        ("model: bedrock/m, aws_region_name: eu-west-1", "eu-west-1", aws("eu-west-1")),
        ("model: bedrock/eu-west-3/m", "eu-west-3", aws("eu-west-3")),
        ("model: bedrock/us-gov-west-1/m", "us-gov-west-1", aws("us-gov-west-1")),
        (
            "model: 'bedrock/converse/arn:aws:bedrock:eu-north-1:1:inference-profile/m'",
            "eu-north-1",
            aws("eu-north-1"),
        ),
        (
            "model: bedrock/m, model_id: 'arn:aws:bedrock:eu-north-1:1:provisioned-model/p'",
            "eu-north-1",
            aws("eu-north-1"),
        ),
        ("model: bedrock/cn-north-1/m", "cn-north-1", aws("cn-north-1") + ".cn"),
        (
            "model: bedrock/m, aws_bedrock_runtime_endpoint: 'http://own:1/'",
            "us-east-1",
            "http://own:1".to_owned(),
        ),
        (
            "model: bedrock/m, api_base: 'http://own:2', api_key: k",
            "us-east-1",
            "http://own:2".to_owned(),
        ),
    ] {
        let (target, parked) = target(params, &east);
        assert_eq!(
            (target.region.as_deref(), &*target.api_base),
            (Some(region), &*base),
            "{params}"
        );
        assert_eq!(parked, None, "{params}");
    }
    let (provisioned, _) = target("model: bedrock/m, model_id: arn:p", &[]);
    assert_eq!((&*provisioned.model, provisioned.model_id.as_deref()), ("m", Some("arn:p")));
    assert_eq!(provisioned.body_defaults, [], "it is no field of the body");
    let (nowhere, _) = target("model: bedrock/m", &[]);
    assert_eq!(nowhere.region.as_deref(), Some("us-west-2"), "LiteLLM's");
}

#[test]
fn the_buckets_of_a_providers_jobs_are_its_own_or_where_that_is_said() {
    let s3 = [("AWS_ENDPOINT_URL_S3", "http://s3:1/")];
    let google = [("STORAGE_EMULATOR_HOST", "gcs:2")];
    for (params, variables, expected) in [
        (
            "model: bedrock/m, aws_region_name: eu-west-1",
            &google[..],
            Some("https://s3.eu-west-1.amazonaws.com"),
        ),
        ("model: bedrock/cn-north-1/m", &[], Some("https://s3.cn-north-1.amazonaws.com.cn")),
        ("model: bedrock/m", &s3, Some("http://s3:1")),
        ("model: bedrock/m, s3_endpoint_url: 'https://own/'", &s3, Some("https://own")),
        ("model: vertex_ai/m, vertex_project: p", &s3, Some("https://storage.googleapis.com")),
        ("model: vertex_ai/m, vertex_project: p", &google, Some("http://gcs:2")),
        ("model: openai/m, api_key: k", &s3, None),
    ] {
        let buckets = target(params, variables).0.buckets;
        assert_eq!(buckets.as_ref().map(|buckets| &*buckets.store), expected, "{params}");
    }
}

#[test]
fn files_are_put_into_the_bucket_that_litellm_would_put_them_into() {
    let buckets = |params: &str, variables| target(params, variables).0.buckets.expect("some");
    let vertex = "model: vertex_ai/m, vertex_project: p";
    let both = [("GCS_BUCKET_NAME", "log"), ("GCS_BATCH_BUCKET_NAME", "own/folder")];
    for (more, variables, expected) in [
        ("", &[][..], None),
        ("", &both[..1], Some("log")),
        ("", &both, Some("own/folder")),
        (", bucket_name: older", &both, Some("older")),
        (", bucket_name: older, gcs_bucket_name: named", &both, Some("named")),
    ] {
        let (target, _) = target(&format!("{vertex}{more}"), variables);
        assert_eq!(target.buckets.expect("some").files.as_deref(), expected, "{more}");
        assert_eq!(target.body_defaults, [], "it is no field of a body");
    }
    let bedrock = "model: bedrock/m, aws_region_name: eu-west-1";
    let set = buckets(
        &format!(
            "{bedrock}, s3_bucket_name: b, s3_region_name: us-east-1, s3_output_bucket_name: o, \
             s3_encryption_key_id: k, aws_batch_role_arn: r"
        ),
        &[],
    );
    let text = |text: &str| Some(text.into());
    let expected = Buckets {
        store: "https://s3.us-east-1.amazonaws.com".into(),
        region: text("us-east-1"),
        files: text("b"),
        answers: text("o"),
        encryption_key: text("k"),
        role: text("r"),
    };
    assert_eq!(set, expected);
    let variables = [("AWS_S3_BUCKET_NAME", "b"), ("AWS_BATCH_ROLE_ARN", "r")];
    let set = buckets(bedrock, &variables);
    assert_eq!((set.files, set.role, set.region), (text("b"), text("r"), None));
}
