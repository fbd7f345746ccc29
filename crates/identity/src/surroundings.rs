//! What the environment says of identities, under the names that the clouds' own tools read.

use dunlin_types::Secret;

/// What the environment says of identities.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub(crate) aws: AwsSurroundings,
    pub(crate) azure: AzureSurroundings,
    pub(crate) google: GoogleSurroundings,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct AwsSurroundings {
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<Secret>,
    pub(crate) session_token: Option<Secret>,
    pub(crate) profile: Option<String>,
    pub(crate) credentials_file: String,
    pub(crate) config_file: String,
    pub(crate) region: Option<String>,
    pub(crate) sts_endpoint: Option<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) web_identity_token_file: Option<String>,
    pub(crate) session_name: Option<String>,
    pub(crate) container_uri: Option<String>,
    pub(crate) container_token: Option<Secret>,
    pub(crate) container_token_file: Option<String>,
    /// `None`: not to be asked.
    pub(crate) instance_metadata: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct AzureSurroundings {
    pub(crate) tenant_id: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) token_file: Option<String>,
    pub(crate) authority: String,
    pub(crate) metadata: String,
    pub(crate) app_endpoint: Option<String>,
    pub(crate) app_header: Option<Secret>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct GoogleSurroundings {
    pub(crate) credentials_file: Option<String>,
    pub(crate) gcloud_file: String,
    pub(crate) metadata: String,
}

impl Surroundings {
    /// Reads the variables.
    #[must_use]
    pub fn from_variables<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
        let text = |names: &[&str]| first(names).map(str::to_owned);
        let or = |name: &str, other: &str| variable(name).unwrap_or(other).to_owned();
        let secret = |name: &str| variable(name).map(Secret::new);
        let home = variable("HOME").unwrap_or_default();
        let on_ecs = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            .map(|path| format!("http://169.254.170.2{path}"));
        let no_instance = variable("AWS_EC2_METADATA_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let instance = || {
            let base = or("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254");
            base.trim_end_matches('/').to_owned()
        };
        let aws = AwsSurroundings {
            access_key_id: text(&["AWS_ACCESS_KEY_ID"]),
            secret_access_key: secret("AWS_SECRET_ACCESS_KEY"),
            session_token: secret("AWS_SESSION_TOKEN"),
            profile: text(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]),
            credentials_file: or(
                "AWS_SHARED_CREDENTIALS_FILE",
                &format!("{home}/.aws/credentials"),
            ),
            config_file: or("AWS_CONFIG_FILE", &format!("{home}/.aws/config")),
            region: text(&["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"]),
            sts_endpoint: text(&["AWS_STS_ENDPOINT", "AWS_ENDPOINT_URL_STS"]),
            role_arn: text(&["AWS_ROLE_ARN"]),
            web_identity_token_file: text(&["AWS_WEB_IDENTITY_TOKEN_FILE"]),
            session_name: text(&["AWS_ROLE_SESSION_NAME"]),
            container_uri: on_ecs.or_else(|| text(&["AWS_CONTAINER_CREDENTIALS_FULL_URI"])),
            container_token: secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
            container_token_file: text(&["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]),
            instance_metadata: (!no_instance).then(instance),
        };
        let azure = AzureSurroundings {
            tenant_id: text(&["AZURE_TENANT_ID"]),
            client_id: text(&["AZURE_CLIENT_ID"]),
            client_secret: secret("AZURE_CLIENT_SECRET"),
            token_file: text(&["AZURE_FEDERATED_TOKEN_FILE"]),
            authority: or("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com"),
            metadata: or("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254"),
            app_endpoint: text(&["IDENTITY_ENDPOINT"]),
            app_header: secret("IDENTITY_HEADER"),
        };
        let gcloud = or("CLOUDSDK_CONFIG", &format!("{home}/.config/gcloud"));
        let google = GoogleSurroundings {
            credentials_file: text(&["GOOGLE_APPLICATION_CREDENTIALS"]),
            gcloud_file: format!("{gcloud}/application_default_credentials.json"),
            metadata: format!("http://{}", or("GCE_METADATA_HOST", "metadata.google.internal")),
        };
        Self { aws, azure, google }
    }
}
