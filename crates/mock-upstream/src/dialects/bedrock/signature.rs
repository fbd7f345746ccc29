//! AWS's signature, version 4, recomputed from what arrived. The mock reads no clock, so a date is
//! held against the scope only.

use sha2::{Digest, Sha256};

use crate::exchange::Mock;
use crate::failure::Failure;
use crate::record::Recorded;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const BEDROCK: &str = "bedrock";
/// It encodes paths once only, and wants to see the hash of the body.
const S3: &str = "s3";
/// The block of SHA-256.
const BLOCK: usize = 64;

/// Checks the signature, or the key that Bedrock takes instead of one.
pub(super) fn check(mock: &Mock, request: &Recorded) -> Result<(), Failure> {
    let Some(authorization) = request.header("authorization") else {
        return Err(Failure::no_key("Missing Authentication Token"));
    };
    if let Some(key) = authorization.strip_prefix("Bearer ") {
        let right = mock.settings.key.as_deref().is_none_or(|wanted| wanted == key);
        let wrong = || Failure::wrong_key("The security token included in the request is invalid.");
        return right.then_some(()).ok_or_else(wrong);
    }
    let claimed = Claim::parse(authorization).ok_or_else(|| {
        Failure::wrong_key(
            "Authorization header requires existence of 'Credential', \
            'SignedHeaders' and 'Signature' parameters.",
        )
    })?;
    claimed.verify(BEDROCK, request, &mock.settings.aws_secret).map_err(Failure::wrong_key)
}

/// The same for a bucket, which no key opens.
pub(super) fn check_of_s3(mock: &Mock, request: &Recorded) -> Result<(), Failure> {
    let claimed = request.header("authorization").and_then(Claim::parse);
    let claimed = claimed.ok_or_else(|| Failure::no_key("Access Denied"))?;
    if request.header("x-amz-content-sha256").is_none() {
        return Err(Failure::bad("Missing required header for this request: x-amz-content-sha256"));
    }
    claimed.verify(S3, request, &mock.settings.aws_secret).map_err(Failure::wrong_key)
}

/// What an `authorization` header says.
struct Claim<'a> {
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(authorization: &'a str) -> Option<Self> {
        let fields = authorization.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let mut scope = field("Credential")?.rsplit('/');
        if scope.next()? != "aws4_request" {
            return None;
        }
        let (service, region, date) = (scope.next()?, scope.next()?, scope.next()?);
        let (signed, signature) = (field("SignedHeaders")?, field("Signature")?);
        Some(Self { date, region, service, signed, signature })
    }

    fn verify(&self, wanted: &str, request: &Recorded, secret: &str) -> Result<(), String> {
        if self.service != wanted {
            let service = self.service;
            return Err(format!(
                "Credential should be scoped to correct service: '{wanted}', not '{service}'."
            ));
        }
        let time = request.header("x-amz-date").unwrap_or_default();
        if time.len() != 16 || !time.starts_with(self.date) {
            return Err(format!("Date in Credential scope does not match YYYYMMDD of '{time}'."));
        }
        let signed: Vec<&str> = self.signed.split(';').collect();
        for needed in ["host", "x-amz-date", "x-amz-security-token"] {
            let present = request.headers.contains_key(needed);
            if present && !signed.contains(&needed) {
                return Err(format!(
                    "'{needed}' must be a 'SignedHeader' in the AWS Authorization."
                ));
            }
        }
        let hash = hex(&Sha256::digest(&request.body));
        if request.header("x-amz-content-sha256").is_some_and(|claimed| claimed != hash) {
            return Err(
                "The provided 'x-amz-content-sha256' header does not match what was computed."
                    .to_owned(),
            );
        }
        let canonical = self.canonical(request, &signed, &hash);
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let digest = hex(&Sha256::digest(&canonical));
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{digest}");
        let steps = [self.date, self.region, self.service, "aws4_request", &to_sign];
        let key = format!("AWS4{secret}").into_bytes();
        let signature = steps.iter().fold(key, |key, text| hmac(&key, text.as_bytes()).to_vec());
        if hex(&signature) != self.signature {
            return Err(format!(
                "The request signature we calculated does not match the signature you provided. \
                 The Canonical String for this request should have been '{canonical}'"
            ));
        }
        Ok(())
    }

    fn canonical(&self, request: &Recorded, signed: &[&str], hash: &str) -> String {
        // The path is encoded once more than it was on the wire.
        let path = if self.service == S3 { request.path.clone() } else { encoded(&request.path) };
        let mut query: Vec<&str> =
            request.query.split('&').filter(|pair| !pair.is_empty()).collect();
        query.sort_unstable();
        let headers: String = signed
            .iter()
            .map(|name| {
                let values = request.headers.get_all(*name).iter();
                let values = values.map(|value| {
                    String::from_utf8_lossy(value.as_bytes())
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ")
                });
                format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
            })
            .collect();
        format!(
            "{}\n{path}\n{}\n{headers}\n{}\n{hash}",
            request.method,
            query.join("&"),
            self.signed
        )
    }
}

fn encoded(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
