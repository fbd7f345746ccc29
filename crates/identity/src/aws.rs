//! Keys of AWS: whose they are, and the role taken on with them.

use dunlin_types::{AwsKeys, AwsRole, AwsSource, Clock, Credential, Secret};

use crate::http::{Http, file};
use crate::surroundings::AwsSurroundings;
use crate::{Error, Grant};

mod instance;
mod profile;
mod sts;

use profile::{Base, Profiles};
use sts::Sts;

/// The session's name in AWS's logs when none is set.
const SESSION_NAME: &str = "dunlin";

pub(crate) struct Aws<'a> {
    pub(crate) http: &'a Http,
    pub(crate) surroundings: &'a AwsSurroundings,
    pub(crate) clock: &'a Clock,
}

impl Aws<'_> {
    pub(crate) async fn grant(&self, source: &AwsSource) -> Result<Grant, Error> {
        let sts = self.sts(source);
        let (grant, own_role) = match &source.keys {
            AwsKeys::Static { access_key_id, secret_access_key, session_token } => {
                (keys(access_key_id, secret_access_key.clone(), session_token.clone()), None)
            }
            AwsKeys::Profile(name) => {
                let found = self.profile(&sts, name).await?;
                let missing = || Error::Unusable {
                    what: format!(
                        "the AWS profile `{name}` is neither in {} nor in {}",
                        self.surroundings.credentials_file, self.surroundings.config_file
                    ),
                    mend: format!("create it with `aws configure --profile {name}`"),
                };
                (found.ok_or_else(missing)?, None)
            }
            AwsKeys::WebIdentity { token_file, role } => {
                let token = file(token_file, "aws_web_identity_token").await?;
                return sts.with_web_identity(role, token.trim()).await;
            }
            AwsKeys::Default => self.chain(&sts).await?,
        };
        match &source.role {
            // Kubernetes gives the very role that the configuration names.
            Some(role) if own_role == Some(&*role.arn) => Ok(grant),
            Some(role) => sts.assume(role, &grant.credential).await,
            None => Ok(grant),
        }
    }

    fn sts<'a>(&'a self, source: &'a AwsSource) -> Sts<'a> {
        let surroundings = &self.surroundings;
        Sts {
            http: self.http,
            clock: self.clock,
            region: source.region.as_deref().or(surroundings.region.as_deref()),
            endpoint: source.sts_endpoint.as_deref().or(surroundings.sts_endpoint.as_deref()),
        }
    }

    /// The first keys that are there, and the role they are of if that is known. A way that is set
    /// up and fails is an error; one that is not is passed over.
    async fn chain(&self, sts: &Sts<'_>) -> Result<(Grant, Option<&str>), Error> {
        let mut tried = Vec::new();
        if let Some(grant) = self.environment() {
            return Ok((grant, None));
        }
        tried.push("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set".to_owned());

        let surroundings = &self.surroundings;
        if let (Some(path), Some(arn)) =
            (&surroundings.web_identity_token_file, &surroundings.role_arn)
        {
            let token = file(path, "AWS_WEB_IDENTITY_TOKEN_FILE").await?;
            let role = AwsRole {
                arn: arn.as_str().into(),
                session_name: surroundings.session_name.as_deref().map(Into::into),
                external_id: None,
            };
            return Ok((sts.with_web_identity(&role, token.trim()).await?, Some(arn)));
        }
        tried.push("AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN are not both set".to_owned());

        let name = surroundings.profile.as_deref().unwrap_or("default");
        if let Some(grant) = self.profile(sts, name).await? {
            return Ok((grant, None));
        }
        tried.push(format!("there is no profile `{name}` in {}", surroundings.credentials_file));

        if let Some(grant) = self.container().await? {
            return Ok((grant, None));
        }
        tried.push("no AWS_CONTAINER_CREDENTIALS_…_URI is set".to_owned());

        match self.instance().await {
            Ok(Some(grant)) => return Ok((grant, None)),
            Ok(None) => tried.push("AWS_EC2_METADATA_DISABLED is set".to_owned()),
            Err(error) => tried.push(error.to_string()),
        }
        let mend = "Set aws_access_key_id and aws_secret_access_key, or give this machine a role.";
        Err(Error::NotFound { tried, mend })
    }

    fn environment(&self) -> Option<Grant> {
        let surroundings = &self.surroundings;
        let secret = surroundings.secret_access_key.clone()?;
        Some(keys(
            surroundings.access_key_id.as_deref()?,
            secret,
            surroundings.session_token.clone(),
        ))
    }

    /// The credential of a profile; `None` if there is no such profile.
    async fn profile(&self, sts: &Sts<'_>, name: &str) -> Result<Option<Grant>, Error> {
        let profiles = Profiles::read(self.surroundings).await?;
        let Some(plan) = profiles.plan(name)? else { return Ok(None) };
        let missing = |what: &str| Error::Unusable {
            what: format!("the AWS profile `{name}` takes its keys from {what}, which has none"),
            mend: "give it others with source_profile".to_owned(),
        };
        let mut grant = match plan.base {
            Base::Keys(grant) => grant,
            Base::WebIdentity { token_file, role } => {
                let token = file(&token_file, "web_identity_token_file of a profile").await?;
                sts.with_web_identity(&role, token.trim()).await?
            }
            Base::Environment => self.environment().ok_or_else(|| missing("the environment"))?,
            Base::Container => self.container().await?.ok_or_else(|| missing("the container"))?,
            Base::Instance => self.instance().await?.ok_or_else(|| missing("the instance"))?,
        };
        for role in &plan.roles {
            grant = sts.assume(role, &grant.credential).await?;
        }
        Ok(Some(grant))
    }
}

/// Keys that are good until they are changed.
fn keys(access_key_id: &str, secret_access_key: Secret, session_token: Option<Secret>) -> Grant {
    let access_key_id = access_key_id.to_owned();
    let credential = Credential::Aws { access_key_id, secret_access_key, session_token };
    Grant { credential, expires: None }
}
