//! Where credentials come from that an identity service hands out and takes back: plain data,
//! made from the configuration, carried out by the crate `identity`.

use std::sync::Arc;

use crate::Secret;

/// A way to get a credential. Two equal sources are one and share what they were given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// AWS: keys to sign with.
    Aws(AwsSource),
    /// Microsoft Entra ID: a bearer token.
    Azure(AzureSource),
    /// Google Cloud: a bearer token.
    Google(GoogleSource),
}

/// Keys of AWS, and the role that is taken on with them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AwsSource {
    /// Whose keys.
    pub keys: AwsKeys,
    /// `aws_role_name`: the role to take on with those keys.
    pub role: Option<AwsRole>,
    /// The region whose STS is asked.
    pub region: Option<Arc<str>>,
    /// `aws_sts_endpoint`: the STS to ask, if not the region's own.
    pub sts_endpoint: Option<Arc<str>>,
}

/// Whose keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AwsKeys {
    /// Written in the configuration.
    Static {
        /// Which key; not secret.
        access_key_id: Arc<str>,
        /// The key.
        secret_access_key: Secret,
        /// Beside keys that expire.
        session_token: Option<Secret>,
    },
    /// A profile of `~/.aws/credentials` and `~/.aws/config`.
    Profile(Arc<str>),
    /// A role that is given for a token in a file, such as Kubernetes writes.
    WebIdentity {
        /// The file.
        token_file: Arc<str>,
        /// The role and the session's name. The external id has no meaning here.
        role: AwsRole,
    },
    /// The first that is there: environment, web identity, profile, container, instance.
    Default,
}

/// A role to take on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AwsRole {
    /// Its ARN.
    pub arn: Arc<str>,
    /// `aws_session_name`: what the session is called in AWS's logs.
    pub session_name: Option<Arc<str>>,
    /// `aws_external_id`: what the role's trust policy asks for.
    pub external_id: Option<Arc<str>>,
}

/// Who one is to Entra ID, and for what a token is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AzureSource {
    /// Who.
    pub login: AzureLogin,
    /// `azure_scope`; if there is none, Azure's AI services.
    pub scope: Option<Arc<str>>,
}

/// Who one is to Entra ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AzureLogin {
    /// `azure_ad_token`: a token that somebody else renews.
    Token(Secret),
    /// An application with a secret.
    ClientSecret {
        /// The directory.
        tenant_id: Arc<str>,
        /// The application.
        client_id: Arc<str>,
        /// Its secret.
        client_secret: Secret,
    },
    /// An application that trusts the token in a file. What is absent comes from the environment.
    WorkloadIdentity {
        /// The directory.
        tenant_id: Option<Arc<str>>,
        /// The application.
        client_id: Option<Arc<str>>,
        /// The file.
        token_file: Option<Arc<str>>,
    },
    /// The identity of the machine, or of the app on App Service.
    ManagedIdentity {
        /// Which of them, if there are several.
        client_id: Option<Arc<str>>,
    },
    /// The first that is there: a client secret in the environment, workload identity, managed
    /// identity.
    Default,
}

/// Who one is to Google Cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GoogleSource {
    /// A service account's key, or a user's credential, in a file.
    File(Arc<str>),
    /// The same as text.
    Inline(Secret),
    /// The first that is there: the file of `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's own, the
    /// metadata server.
    Default,
}
