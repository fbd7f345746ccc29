//! Profiles as the AWS command line writes them: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;

use dunlin_types::{AwsRole, Secret};

use super::keys;
use crate::http::file;
use crate::surroundings::AwsSurroundings;
use crate::{Error, Grant};

/// Roles taken on one with another; more than this is taken for a circle.
const MAX_ROLES: usize = 5;
/// Ways to keys that need a program or a person.
const NOT_FOLLOWED: &[&str] = &["credential_process", "sso_session", "sso_start_url"];

type Section = BTreeMap<String, String>;

pub(super) struct Profiles {
    sections: BTreeMap<String, Section>,
}

/// How a profile's credential is made: first keys, then role by role.
pub(super) struct Plan {
    pub(super) base: Base,
    pub(super) roles: Vec<AwsRole>,
}

pub(super) enum Base {
    Keys(Grant),
    WebIdentity { token_file: String, role: AwsRole },
    Environment,
    Container,
    Instance,
}

impl Profiles {
    /// Reads both files; one that is not there holds nothing.
    pub(super) async fn read(surroundings: &AwsSurroundings) -> Result<Self, Error> {
        let mut sections: BTreeMap<String, Section> = BTreeMap::new();
        // Read last, the credentials file wins.
        for (path, variable) in [
            (&surroundings.config_file, "AWS_CONFIG_FILE"),
            (&surroundings.credentials_file, "AWS_SHARED_CREDENTIALS_FILE"),
        ] {
            if !tokio::fs::try_exists(path).await.unwrap_or(false) {
                continue;
            }
            for (name, section) in parse(&file(path, variable).await?) {
                sections.entry(name).or_default().extend(section);
            }
        }
        Ok(Self { sections })
    }

    /// `None`: there is no such profile, or there is nothing of credentials in it.
    pub(super) fn plan(&self, name: &str) -> Result<Option<Plan>, Error> {
        let mut roles = Vec::new();
        let mut name = name;
        loop {
            let Some(section) = self.sections.get(name) else {
                return if roles.is_empty() { Ok(None) } else { Err(no_source(name)) };
            };
            let text = |key: &str| section.get(key).map(String::as_str);
            // A profile may be its own source: then its keys are meant.
            let is_own_source = roles.last().is_some_and(|_| text("source_profile") == Some(name));
            let role = text("role_arn").filter(|_| !is_own_source).map(|arn| AwsRole {
                arn: arn.into(),
                session_name: text("role_session_name").map(Into::into),
                external_id: text("external_id").map(Into::into),
            });
            let Some(role) = role else {
                let base = base(name, section)?;
                if base.is_none() && !roles.is_empty() {
                    return Err(no_source(name));
                }
                roles.reverse();
                return Ok(base.map(|base| Plan { base, roles }));
            };
            if let Some(token_file) = text("web_identity_token_file") {
                roles.reverse();
                let base = Base::WebIdentity { token_file: token_file.to_owned(), role };
                return Ok(Some(Plan { base, roles }));
            }
            roles.push(role);
            if roles.len() > MAX_ROLES {
                return Err(unusable(name, "its source_profile refers back to itself"));
            }
            if let Some(source) = text("credential_source") {
                roles.reverse();
                return Ok(Some(Plan { base: named_base(name, source)?, roles }));
            }
            name = text("source_profile").ok_or_else(|| {
                unusable(name, "it has a role_arn and neither source_profile nor credential_source")
            })?;
        }
    }
}

fn base(name: &str, section: &Section) -> Result<Option<Base>, Error> {
    if let (Some(id), Some(secret)) =
        (section.get("aws_access_key_id"), section.get("aws_secret_access_key"))
    {
        let token = section.get("aws_session_token").map(|token| Secret::new(token.as_str()));
        return Ok(Some(Base::Keys(keys(id, Secret::new(secret.as_str()), token))));
    }
    match NOT_FOLLOWED.iter().find(|key| section.contains_key(**key)) {
        Some(key) => Err(unusable(name, &format!("it uses {key}, which is not supported"))),
        None => Ok(None),
    }
}

fn named_base(name: &str, source: &str) -> Result<Base, Error> {
    match source {
        "Environment" => Ok(Base::Environment),
        "EcsContainer" => Ok(Base::Container),
        "Ec2InstanceMetadata" => Ok(Base::Instance),
        other => Err(unusable(name, &format!("its credential_source `{other}` is unknown"))),
    }
}

fn no_source(name: &str) -> Error {
    unusable(name, "another profile takes its keys from it, and it has none")
}

fn unusable(name: &str, why: &str) -> Error {
    Error::Unusable {
        what: format!("the AWS profile `{name}` cannot be used: {why}"),
        mend: "write keys into the profile, or set aws_access_key_id and aws_role_name".to_owned(),
    }
}

/// Sections by profile name. Indented lines belong to a nested setting and say nothing here.
fn parse(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with(['#', ';', ' ', '\t']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let name = header.split(']').next().unwrap_or(header).trim();
            let name = name.strip_prefix("profile ").unwrap_or(name).trim();
            current = Some(sections.entry(name.to_owned()).or_default());
        } else if let (Some(section), Some((key, value))) = (&mut current, line.split_once('=')) {
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    sections
}
