//! The Security Token Service: a role for keys, or for a token of another issuer. It speaks forms
//! and XML, of which a handful of elements is read.

use dunlin_providers::sigv4;
use dunlin_types::{AwsRole, Clock, Credential, Secret, UnixMillis};

use super::SESSION_NAME;
use crate::http::{Answer, FAR, Http, form};
use crate::{Error, Grant};

const VERSION: (&str, &str) = ("Version", "2011-06-15");
/// Signs for the endpoint that has no region.
const GLOBAL_REGION: &str = "us-east-1";

pub(crate) struct Sts<'a> {
    pub(crate) http: &'a Http,
    pub(crate) clock: &'a Clock,
    pub(crate) region: Option<&'a str>,
    pub(crate) endpoint: Option<&'a str>,
}

impl Sts<'_> {
    /// Takes on a role with keys.
    pub(crate) async fn assume(&self, role: &AwsRole, with: &Credential) -> Result<Grant, Error> {
        let Credential::Aws { access_key_id, secret_access_key, session_token } = with else {
            unreachable!("AWS sources give AWS keys");
        };
        let mut fields = vec![("Action", "AssumeRole"), VERSION];
        fields.extend(named(role));
        fields.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        let mut request = form(&self.url()?, &fields)?;
        let keys =
            sigv4::Keys { access_key_id, secret_access_key, session_token: session_token.as_ref() };
        let region = self.region.unwrap_or(GLOBAL_REGION);
        let scope = sigv4::Scope { service: "sts", region };
        sigv4::sign(&mut request, keys, scope, self.clock.unix()).map_err(|_| Error::Unusable {
            what: "the AWS keys hold characters that HTTP forbids".to_owned(),
            mend: "copy them again, without line ends".to_owned(),
        })?;
        grant(self.http.send(request, FAR).await?)
    }

    /// Takes on a role for a token of another issuer.
    pub(crate) async fn with_web_identity(
        &self,
        role: &AwsRole,
        token: &str,
    ) -> Result<Grant, Error> {
        let mut fields = vec![("Action", "AssumeRoleWithWebIdentity"), VERSION];
        fields.extend(named(role));
        fields.push(("WebIdentityToken", token));
        grant(self.http.send(form(&self.url()?, &fields)?, FAR).await?)
    }

    fn url(&self) -> Result<String, Error> {
        if let Some(endpoint) = self.endpoint {
            return Ok(format!("{}/", endpoint.trim_end_matches('/')));
        }
        let Some(region) = self.region else { return Ok("https://sts.amazonaws.com/".to_owned()) };
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(Error::Unusable {
                what: format!("`{region}` is not an AWS region"),
                mend: "set aws_region_name to one such as us-east-1".to_owned(),
            });
        }
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        Ok(format!("https://sts.{region}.amazonaws.com{suffix}/"))
    }
}

fn named(role: &AwsRole) -> [(&str, &str); 2] {
    let session_name = role.session_name.as_deref().unwrap_or(SESSION_NAME);
    [("RoleArn", &role.arn), ("RoleSessionName", session_name)]
}

fn grant(answer: Answer) -> Result<Grant, Error> {
    let answer = answer.accepted(|body| {
        let (code, message) = (element(body, "Code")?, element(body, "Message")?);
        Some(format!("{code}: {message}"))
    })?;
    let found = element_text(&answer.body, "Credentials").unwrap_or_default();
    let part = |name: &str| {
        let missing = || answer.bad(format!("it has no {name}"));
        element(found, name).filter(|text| !text.is_empty()).ok_or_else(missing)
    };
    let expiration = part("Expiration")?;
    let credential = Credential::Aws {
        access_key_id: part("AccessKeyId")?,
        secret_access_key: Secret::new(part("SecretAccessKey")?),
        session_token: Some(Secret::new(part("SessionToken")?)),
    };
    let expires = millis(&expiration).ok_or_else(|| answer.bad("its Expiration is not a time"))?;
    Ok(Grant { credential, expires: Some(expires) })
}

/// `2026-11-25T12:00:00Z`.
pub(super) fn millis(text: &str) -> Option<UnixMillis> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(UnixMillis)
}

/// The text of the first element of that name, with XML's five entities undone.
fn element(xml: &str, name: &str) -> Option<String> {
    let text = element_text(xml, name)?.trim();
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Some(text.replace("&apos;", "'").replace("&amp;", "&"))
}

fn element_text<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    Some(behind.split_once(&format!("</{name}>"))?.0)
}
