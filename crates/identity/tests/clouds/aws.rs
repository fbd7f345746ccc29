//! AWS: STS, the metadata services and profile files. The answers' forms are those of AWS's API
//! references for STS and EC2 (documented).

use dunlin_types::{AwsKeys, AwsRole, AwsSource, Secret, Source};

use crate::service::{Asked, IN_AN_HOUR, Service, aws, identity, nobody, write};

const ROLE: &str = "arn:aws:iam::123456789012:role/models";

pub(crate) fn source(keys: AwsKeys) -> AwsSource {
    AwsSource { keys, role: None, region: None, sts_endpoint: None }
}

fn role() -> AwsRole {
    AwsRole { arn: ROLE.into(), session_name: Some("me".into()), external_id: Some("ext".into()) }
}

fn static_keys() -> AwsKeys {
    AwsKeys::Static {
        access_key_id: "AKIDSTATIC".into(),
        secret_access_key: Secret::new("static-secret"),
        session_token: None,
    }
}

pub(crate) fn sts_answer(action: &str, number: usize) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <AssumedRoleUser><Arn>{ROLE}</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>ASIA{number}</AccessKeyId>\n<SecretAccessKey>a/b+c&amp;d</SecretAccessKey>\
         <SessionToken>session-{number}</SessionToken><Expiration>{IN_AN_HOUR}</Expiration>\
         </Credentials></{action}Result></{action}Response>"
    )
}

async fn sts() -> Service {
    Service::start(|asked| {
        let action = asked.field("Action").expect("an action");
        (200, sts_answer(action, asked.body.len()))
    })
    .await
}

#[tokio::test]
async fn keys_that_are_written_are_used_as_they_are() {
    let (identity, _) = identity(&[]);
    let got = identity.current(&Source::Aws(source(static_keys()))).await.expect("written");
    assert_eq!(aws(&got), ("AKIDSTATIC", "static-secret", None));
}

#[tokio::test]
async fn a_role_is_taken_on_with_a_signed_request() {
    let sts = sts().await;
    let (identity, _) = identity(&[]);
    let source = AwsSource {
        role: Some(role()),
        region: Some("eu-west-1".into()),
        sts_endpoint: Some(sts.base.as_str().into()),
        ..source(static_keys())
    };
    let got = identity.current(&Source::Aws(source)).await.expect("a role");
    let (id, secret, session) = aws(&got);
    assert!(id.starts_with("ASIA") && session.expect("a session").starts_with("session-"));
    assert_eq!(secret, "a/b+c&d");
    let asked = &sts.asked()[0];
    assert_eq!(asked.field("Action"), Some("AssumeRole"));
    assert_eq!(asked.field("RoleArn"), Some("arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmodels"));
    assert_eq!(
        (asked.field("RoleSessionName"), asked.field("ExternalId")),
        (Some("me"), Some("ext"))
    );
    let signed = "AWS4-HMAC-SHA256 Credential=AKIDSTATIC/20261125/eu-west-1/sts/aws4_request, \
                  SignedHeaders=content-type;host;x-amz-date, Signature=";
    assert!(asked.header("authorization").starts_with(signed), "{asked:?}");
}

#[tokio::test]
async fn a_refused_role_is_told_in_the_words_of_aws() {
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: \
                   arn:aws:iam::1:user/me is not authorized to perform: sts:AssumeRole on resource: \
                   &quot;models&quot;</Message></Error></ErrorResponse>";
    let sts = Service::start(|_| (403, refusal.to_owned())).await;
    let (identity, _) = identity(&[("AWS_STS_ENDPOINT", &sts.base)]);
    let source = AwsSource { role: Some(role()), ..source(static_keys()) };
    let error = identity.current(&Source::Aws(source)).await.expect_err("refused").to_string();
    assert!(error.contains("403") && error.contains("AccessDenied: User: arn:aws:iam"), "{error}");
    assert!(error.contains("resource: \"models\"") && !error.contains("static-secret"), "{error}");
}

#[tokio::test]
async fn web_identity_sends_the_token_of_its_file() {
    let sts = sts().await;
    let folder = tempfile::tempdir().expect("a folder");
    let token = write(&folder, "token", "the-token\n");
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ROLE_SESSION_NAME", "pod"),
        ("AWS_ENDPOINT_URL_STS", &sts.base),
    ];
    let (identity, _) = identity(&variables);
    // The configuration names the role that Kubernetes gives: it is not taken on twice.
    let same = AwsRole { arn: ROLE.into(), session_name: None, external_id: None };
    let sources = [
        source(AwsKeys::Default),
        AwsSource { role: Some(same), ..source(AwsKeys::Default) },
        source(AwsKeys::WebIdentity { token_file: token.as_str().into(), role: role() }),
    ];
    for (number, source) in sources.into_iter().enumerate() {
        let got = identity.current(&Source::Aws(source)).await.expect("a role");
        assert!(aws(&got).0.starts_with("ASIA"));
        let asked = &sts.asked()[number];
        assert_eq!(asked.field("Action"), Some("AssumeRoleWithWebIdentity"));
        assert_eq!(asked.field("WebIdentityToken"), Some("the-token"));
        assert_eq!(asked.header("authorization"), "", "it is not signed");
    }
    assert_eq!(sts.asked().len(), 3);
}

fn metadata(asked: &Asked) -> (u16, String) {
    let roles = "/latest/meta-data/iam/security-credentials/";
    let has_session = asked.header("x-aws-ec2-metadata-token") == "a-session";
    match (asked.method.as_str(), asked.path.as_str()) {
        ("PUT", "/latest/api/token") => {
            assert_eq!(asked.header("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
            (200, "a-session".to_owned())
        }
        ("GET", _) if !has_session => (401, String::new()),
        ("GET", path) if path == roles => (200, "the-role\n".to_owned()),
        ("GET", path) if path == format!("{roles}the-role") => {
            let keys = format!(
                r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAINSTANCE",
                "SecretAccessKey":"s","Token":"t","Expiration":"{IN_AN_HOUR}"}}"#
            );
            (200, keys)
        }
        _ => (404, String::new()),
    }
}

#[tokio::test]
async fn an_instances_role_is_asked_for_in_a_session() {
    let service = Service::start(metadata).await;
    let (identity, _) = identity(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service.base)]);
    let got = identity.current(&Source::Aws(source(AwsKeys::Default))).await.expect("a role");
    assert_eq!(aws(&got), ("ASIAINSTANCE", "s", Some("t")));
}

#[tokio::test]
async fn a_container_shows_the_token_of_its_file() {
    let keys = r#"{"AccessKeyId":"ASIAPOD","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-25T13:00:00Z"}"#;
    let service = Service::start(|_| (200, keys.to_owned())).await;
    let folder = tempfile::tempdir().expect("a folder");
    let token = write(&folder, "token", "pod-token\n");
    let uri = format!("{}/v1/credentials", service.base);
    let with = |uri: &str| {
        identity(&[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token),
        ])
        .0
    };
    let default = Source::Aws(source(AwsKeys::Default));
    let got = with(&uri).current(&default).await.expect("keys");
    assert_eq!(aws(&got), ("ASIAPOD", "s", Some("t")));
    let asked = &service.asked()[0];
    assert_eq!(
        (asked.path.as_str(), asked.header("authorization")),
        ("/v1/credentials", "pod-token")
    );

    let elsewhere = with("http://192.0.2.1/v1/credentials").current(&default).await;
    let error = elsewhere.expect_err("the token is not sent there").to_string();
    assert!(error.contains("must be https"), "{error}");
}

#[tokio::test]
async fn the_environment_comes_first() {
    let nobody = nobody().await;
    let (identity, _) = identity(&[
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "env-secret"),
        ("AWS_SESSION_TOKEN", "env-token"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &nobody),
    ]);
    let got = identity.current(&Source::Aws(source(AwsKeys::Default))).await.expect("keys");
    assert_eq!(aws(&got), ("AKIDENV", "env-secret", Some("env-token")));
}

#[tokio::test]
async fn with_nothing_set_up_every_way_that_was_tried_is_named() {
    let nobody = nobody().await;
    let (identity, _) = identity(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &nobody)]);
    let error = identity.current(&Source::Aws(source(AwsKeys::Default))).await;
    let error = error.expect_err("there is nothing").to_string();
    for way in [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "profile `default`",
        "AWS_CONTAINER_CREDENTIALS",
        nobody.as_str(),
        "Set aws_access_key_id",
    ] {
        assert!(error.contains(way), "{way} in: {error}");
    }
}

const CREDENTIALS: &str = "
# people's own
[base]
aws_access_key_id = AKIDBASE
aws_secret_access_key = base/secret=

[self]
aws_access_key_id = AKIDSELF
aws_secret_access_key = s
";

const CONFIG: &str = "
[profile base]
region = eu-west-1
s3 =
    max_concurrent_requests = 20
[profile once]
role_arn = arn:aws:iam::1:role/once
source_profile = base
external_id = x-1
[profile twice]
role_arn = arn:aws:iam::1:role/twice
source_profile = once
[profile self]
role_arn = arn:aws:iam::1:role/self
source_profile = self
[profile program]
credential_process = /bin/cat secrets
[profile person]
sso_session = ours
[profile circle]
role_arn = arn:aws:iam::1:role/a
source_profile = circle2
[profile circle2]
role_arn = arn:aws:iam::1:role/b
source_profile = circle
[profile nowhere]
role_arn = arn:aws:iam::1:role/a
source_profile = gone
[profile sourceless]
role_arn = arn:aws:iam::1:role/a
";

#[tokio::test]
async fn profiles_are_followed_as_the_command_line_does() {
    let sts = sts().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (identity, _) = identity(&[
        ("AWS_SHARED_CREDENTIALS_FILE", &write(&folder, "credentials", CREDENTIALS)),
        ("AWS_CONFIG_FILE", &write(&folder, "config", CONFIG)),
        ("AWS_STS_ENDPOINT", &sts.base),
    ]);
    let profile = |name: &str| Source::Aws(source(AwsKeys::Profile(name.into())));
    let got = identity.current(&profile("base")).await.expect("keys");
    assert_eq!(aws(&got), ("AKIDBASE", "base/secret=", None));

    let roles = [("once", vec!["once"]), ("twice", vec!["once", "twice"]), ("self", vec!["self"])];
    for (name, expected) in roles {
        let before = sts.asked().len();
        identity.current(&profile(name)).await.expect(name);
        let asked = sts.asked()[before..].to_vec();
        let taken: Vec<_> = asked.iter().filter_map(|asked| asked.field("RoleArn")).collect();
        let expected =
            expected.iter().map(|role| format!("arn%3Aaws%3Aiam%3A%3A1%3Arole%2F{role}"));
        assert_eq!(taken, expected.collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(sts.asked()[0].field("ExternalId"), Some("x-1"));

    for (name, expected) in [
        ("program", "credential_process"),
        ("person", "sso_session"),
        ("circle", "circle"),
        ("nowhere", "`gone`"),
        ("sourceless", "neither source_profile nor"),
        ("absent", "neither in"),
    ] {
        let error = identity.current(&profile(name)).await.expect_err(name).to_string();
        assert!(error.contains(expected) && !error.contains("cat secrets"), "{name}: {error}");
    }
}
