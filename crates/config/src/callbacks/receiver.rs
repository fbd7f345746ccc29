//! Who is sent request records: where it is and what it is shown, read from variables. A node's
//! environment and what is set for a key or a team over the API have the same names, in large or
//! small letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_types::Secret;
use http::{HeaderName, HeaderValue, Uri};

use super::BadReceiver;
use crate::words;

/// What records are sent to; each has a form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallbackKind {
    /// `generic_api`: LiteLLM's payload as JSON, to any address.
    GenericApi,
    /// `langfuse`: a trace and a generation for each request, by Langfuse's ingestion API.
    Langfuse,
    /// `otel`: a span for each request, by OTLP over HTTP.
    Otel,
}

/// A receiver of request records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Receiver {
    /// LiteLLM's payload as JSON.
    GenericApi(GenericApi),
    /// Langfuse.
    Langfuse(Langfuse),
    /// Whatever takes OTLP.
    Otel(Otel),
}

/// Any address that takes JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GenericApi {
    /// Where the records are posted.
    pub endpoint: Uri,
    /// What goes on each request.
    pub headers: Vec<(HeaderName, Secret)>,
    /// How several records are one body.
    pub format: LogFormat,
}

/// A project of Langfuse.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Langfuse {
    /// Its ingestion API.
    pub endpoint: Uri,
    /// Names the project.
    pub public_key: Arc<str>,
    /// Opens it.
    pub secret_key: Secret,
    /// The environment that traces are of, as Langfuse has it.
    pub environment: Option<Arc<str>>,
    /// The release that traces are of.
    pub release: Option<Arc<str>>,
}

/// A collector that takes OTLP/HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Otel {
    /// Where traces are posted.
    pub endpoint: Uri,
    /// What goes on each request.
    pub headers: Vec<(HeaderName, Secret)>,
    /// `service.name`.
    pub service: Arc<str>,
    /// `deployment.environment.name`.
    pub environment: Option<Arc<str>>,
}

/// How several records are one body: `log_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// `json_array`.
    #[default]
    JsonArray,
    /// `ndjson`: a line each.
    Ndjson,
    /// `single`: a request for each record.
    Single,
}

/// A variable of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// What it is for people.
    pub about: &'static str,
    /// Whether nothing is sent without it.
    pub needed: bool,
    /// Whether nobody is shown its value.
    pub secret: bool,
}

const ENDPOINT: &str = "GENERIC_LOGGER_ENDPOINT";
const HEADERS: &str = "GENERIC_LOGGER_HEADERS";
const GENERIC_API: &[Variable] = &[
    Variable {
        name: ENDPOINT,
        about: "The address that records are posted to.",
        needed: true,
        secret: false,
    },
    Variable {
        name: HEADERS,
        about: "Headers of each post, such as Authorization=Bearer ...,x-source=gateway.",
        needed: false,
        secret: true,
    },
];

const PUBLIC_KEY: &str = "LANGFUSE_PUBLIC_KEY";
const SECRET_KEY: &str = "LANGFUSE_SECRET_KEY";
const SECRET: &str = "LANGFUSE_SECRET";
const HOST: &str = "LANGFUSE_HOST";
const LANGFUSE_ENVIRONMENT: &str = "LANGFUSE_TRACING_ENVIRONMENT";
const RELEASE: &str = "LANGFUSE_RELEASE";
/// The path of Langfuse's ingestion API below its address.
const INGESTION: &str = "/api/public/ingestion";
/// Where Langfuse is unless it is said.
const LANGFUSE_CLOUD: &str = "https://cloud.langfuse.com";
const LANGFUSE: &[Variable] = &[
    Variable { name: PUBLIC_KEY, about: "The project's public key.", needed: true, secret: false },
    Variable { name: SECRET_KEY, about: "The project's secret key.", needed: true, secret: true },
    Variable {
        name: SECRET,
        about: "Another name of the secret key.",
        needed: false,
        secret: true,
    },
    Variable {
        name: HOST,
        about: "Where Langfuse is; https://cloud.langfuse.com unless it is said.",
        needed: false,
        secret: false,
    },
    Variable {
        name: LANGFUSE_ENVIRONMENT,
        about: "The environment that traces are of, in small letters.",
        needed: false,
        secret: false,
    },
    Variable {
        name: RELEASE,
        about: "The release that traces are of.",
        needed: false,
        secret: false,
    },
];

const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const OTLP: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const OTEL_ENDPOINT: &str = "OTEL_ENDPOINT";
const OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const OTEL_HEADERS: &str = "OTEL_HEADERS";
const EXPORTER: &str = "OTEL_EXPORTER";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const OTEL_ENVIRONMENT: &str = "OTEL_ENVIRONMENT_NAME";
/// The path of traces below a collector's address.
const TRACES_PATH: &str = "/v1/traces";
const OTEL: &[Variable] = &[
    Variable {
        name: OTLP,
        about: "The collector's address, such as http://collector:4318; /v1/traces is put behind it.",
        needed: true,
        secret: false,
    },
    Variable {
        name: OTEL_ENDPOINT,
        about: "Another name of the collector's address.",
        needed: false,
        secret: false,
    },
    Variable {
        name: TRACES,
        about: "The whole address that traces are posted to.",
        needed: false,
        secret: false,
    },
    Variable {
        name: OTLP_HEADERS,
        about: "Headers of each post, such as authorization=Bearer ...,x-source=gateway.",
        needed: false,
        secret: true,
    },
    Variable {
        name: OTEL_HEADERS,
        about: "Another name of the headers.",
        needed: false,
        secret: true,
    },
    Variable {
        name: EXPORTER,
        about: "otlp_http, which is the default and the only one.",
        needed: false,
        secret: false,
    },
    Variable {
        name: SERVICE,
        about: "The service's name; litellm unless it is said.",
        needed: false,
        secret: false,
    },
    Variable {
        name: OTEL_ENVIRONMENT,
        about: "The environment that spans are of.",
        needed: false,
        secret: false,
    },
];

/// LiteLLM's other callbacks. Nothing is sent to them by this version.
const UNSERVED: &str = "agentops argilla arize arize_phoenix athina aws_sqs azure_sentinel azure_storage \
     bitbucket braintrust cloudzero clickhouse custom_callback_api datadog datadog_cost_management \
     datadog_llm_observability datadog_metrics deepeval dotprompt dynamodb dynamic_rate_limiter \
     dynamic_rate_limiter_v3 email focus galileo gcs_bucket gcs_pubsub gitlab greenscale helicone humanloop \
     lago langfuse_otel langsmith langtrace levo literalai logfire logfire_otel lunary mlflow \
     newrelic openmeter opik pagerduty posthog prompt_layer resend_email s3 s3_v2 sendgrid_email \
     sentry slack smtp_email sqs supabase traceloop vector_store_pre_call_hook vantage wandb weave_otel";

impl CallbackKind {
    /// All of them, by name.
    pub const ALL: [Self; 3] = [Self::GenericApi, Self::Langfuse, Self::Otel];

    /// LiteLLM's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GenericApi => "generic_api",
            Self::Langfuse => "langfuse",
            Self::Otel => "otel",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::GenericApi => "Generic API",
            Self::Langfuse => "Langfuse",
            Self::Otel => "OpenTelemetry",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it is told by variables.
    #[must_use]
    pub fn variables(self) -> &'static [Variable] {
        match self {
            Self::GenericApi => GENERIC_API,
            Self::Langfuse => LANGFUSE,
            Self::Otel => OTEL,
        }
    }

    /// The receiver that variables describe. `variable` is asked for them by their names in large
    /// letters.
    ///
    /// # Errors
    /// [`BadReceiver`]: one is missing or cannot be used.
    pub fn receiver(self, variable: Lookup<'_, '_>) -> Result<Receiver, BadReceiver> {
        match self {
            Self::GenericApi => Ok(Receiver::GenericApi(GenericApi {
                endpoint: address(ENDPOINT, variable(ENDPOINT))?,
                headers: headers(HEADERS, variable(HEADERS).unwrap_or_default())?,
                format: LogFormat::default(),
            })),
            Self::Langfuse => langfuse(variable).map(Receiver::Langfuse),
            Self::Otel => otel(variable).map(Receiver::Otel),
        }
    }

    /// The receiver that someone set over the API.
    ///
    /// # Errors
    /// [`BadReceiver`]: a variable is missing, unknown or cannot be used.
    pub fn receiver_of(
        self,
        variables: &BTreeMap<String, String>,
    ) -> Result<Receiver, BadReceiver> {
        for name in variables.keys() {
            let known = self.variables().iter().map(|known| known.name);
            if !known.clone().any(|known| known.eq_ignore_ascii_case(name)) {
                let near = match nearest_variable(name, &[self]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        let all = self.variables().iter().map(|one| one.name.to_ascii_lowercase());
                        format!("it has {}", all.collect::<Vec<_>>().join(", "))
                    }
                };
                return Err(BadReceiver::Unknown { name: name.clone(), kind: self, near });
            }
        }
        let receiver = self.receiver(&|name| {
            let named = variables.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        });
        receiver.map_err(|bad| bad.in_words_of(variables.keys().map(String::as_str)))
    }
}

impl Receiver {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> CallbackKind {
        match self {
            Self::GenericApi(_) => CallbackKind::GenericApi,
            Self::Langfuse(_) => CallbackKind::Langfuse,
            Self::Otel(_) => CallbackKind::Otel,
        }
    }

    /// Its variables, as they may be shown: secrets are `***`.
    #[must_use]
    pub fn shown(&self) -> Vec<(&'static str, Option<String>)> {
        let starred = |is_there: bool| is_there.then(|| "***".to_owned());
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        match self {
            Self::GenericApi(generic) => vec![
                (ENDPOINT, Some(shown(&generic.endpoint))),
                (HEADERS, starred(!generic.headers.is_empty())),
            ],
            Self::Langfuse(langfuse) => {
                let address = shown(&langfuse.endpoint);
                let host = address.strip_suffix(INGESTION).unwrap_or(&address);
                vec![
                    (HOST, Some(host.to_owned())),
                    (PUBLIC_KEY, Some(langfuse.public_key.to_string())),
                    (SECRET_KEY, starred(true)),
                    (LANGFUSE_ENVIRONMENT, text(&langfuse.environment)),
                    (RELEASE, text(&langfuse.release)),
                ]
            }
            Self::Otel(otel) => vec![
                (TRACES, Some(shown(&otel.endpoint))),
                (OTLP_HEADERS, starred(!otel.headers.is_empty())),
                (SERVICE, Some(otel.service.to_string())),
                (OTEL_ENVIRONMENT, text(&otel.environment)),
            ],
        }
    }

    /// Where records are sent.
    #[must_use]
    pub fn address(&self) -> &Uri {
        match self {
            Self::GenericApi(generic) => &generic.endpoint,
            Self::Langfuse(langfuse) => &langfuse.endpoint,
            Self::Otel(otel) => &otel.endpoint,
        }
    }
}

impl LogFormat {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "json_array" => Some(Self::JsonArray),
            "ndjson" => Some(Self::Ndjson),
            "single" => Some(Self::Single),
            _ => None,
        }
    }
}

type Lookup<'l, 'v> = &'l dyn Fn(&'static str) -> Option<&'v str>;

fn langfuse(variable: Lookup<'_, '_>) -> Result<Langfuse, BadReceiver> {
    let public_key = variable(PUBLIC_KEY).ok_or(BadReceiver::missing(PUBLIC_KEY))?;
    let secret_key = variable(SECRET_KEY).or_else(|| variable(SECRET));
    let secret_key = secret_key.ok_or(BadReceiver::missing(SECRET_KEY))?;
    let host = variable(HOST).unwrap_or(LANGFUSE_CLOUD);
    Ok(Langfuse {
        endpoint: below(HOST, host, INGESTION)?,
        public_key: public_key.into(),
        secret_key: Secret::new(secret_key),
        environment: variable(LANGFUSE_ENVIRONMENT).map(Arc::from),
        release: variable(RELEASE).map(Arc::from),
    })
}

fn otel(variable: Lookup<'_, '_>) -> Result<Otel, BadReceiver> {
    if !matches!(
        variable(EXPORTER),
        None | Some("otlp_http" | "http" | "http/json" | "http/protobuf" | "otlp")
    ) {
        let must = "must be otlp_http: spans are sent by OTLP over HTTP only";
        return Err(BadReceiver::wrong(EXPORTER, must));
    }
    let endpoint = match variable(TRACES) {
        Some(whole) => address(TRACES, Some(whole))?,
        None => {
            let base = variable(OTLP).or_else(|| variable(OTEL_ENDPOINT));
            below(OTLP, base.ok_or(BadReceiver::missing(OTLP))?, TRACES_PATH)?
        }
    };
    let (name, given) = match (variable(OTLP_HEADERS), variable(OTEL_HEADERS)) {
        (Some(given), _) => (OTLP_HEADERS, given),
        (None, given) => (OTEL_HEADERS, given.unwrap_or_default()),
    };
    // The OpenTelemetry specification has values percent-encoded; a blank is all that it is used for.
    let headers = headers(name, &given.replace("%20", " "))?;
    Ok(Otel {
        endpoint,
        headers,
        service: variable(SERVICE).unwrap_or("litellm").into(),
        environment: variable(OTEL_ENVIRONMENT).map(Arc::from),
    })
}

/// An address without the login and the query that it may have.
fn shown(address: &Uri) -> String {
    let port = address.port().map(|port| format!(":{port}")).unwrap_or_default();
    let (scheme, host) = (address.scheme_str().unwrap_or_default(), address.host());
    let query = if address.query().is_some() { "?***" } else { "" };
    format!("{scheme}://{}{port}{}{query}", host.unwrap_or_default(), address.path())
}

/// A path below an address, unless it is there already.
fn below(name: &'static str, base: &str, path: &str) -> Result<Uri, BadReceiver> {
    let base = base.trim().trim_end_matches('/');
    if base.ends_with(path) {
        return address(name, Some(base));
    }
    address(name, Some(base))?;
    address(name, Some(&[base, path].concat()))
}

/// The variable of one of `kinds` that may have been meant by a name that none of them has.
pub(super) fn nearest_variable(name: &str, kinds: &[CallbackKind]) -> Option<String> {
    let known = kinds.iter().flat_map(|kind| kind.variables());
    let known: Vec<_> = known.map(|known| known.name.to_ascii_lowercase()).collect();
    let near = words::nearest(&name.to_ascii_lowercase(), known.iter().map(String::as_str));
    near.map(str::to_owned)
}

/// Whether LiteLLM has a callback of that name that is not served here.
pub(super) fn is_unserved(name: &str) -> bool {
    UNSERVED.split_whitespace().any(|known| known == name)
}

/// The name of a callback that may have been meant.
#[must_use]
pub fn nearest_callback(name: &str) -> Option<&'static str> {
    words::nearest(name, CallbackKind::ALL.iter().map(|kind| kind.name()))
}

/// An address that can be posted to.
pub(super) fn address(name: &'static str, text: Option<&str>) -> Result<Uri, BadReceiver> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let text = text.ok_or(BadReceiver::missing(name))?;
    let uri: Option<Uri> = text.parse().ok();
    let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    uri.filter(|uri| is_http(uri) && uri.host().is_some_and(|host| !host.is_empty()))
        .ok_or(BadReceiver::wrong(name, "must be a URL that begins with https:// or http://"))
}

/// `name=value,name=value`.
fn headers(name: &'static str, text: &str) -> Result<Vec<(HeaderName, Secret)>, BadReceiver> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let each = pairs.map(|pair| {
        let pair = pair.split_once('=').and_then(|(name, value)| header(name, value));
        pair.ok_or(BadReceiver::wrong(name, "must be name=value pairs, separated by commas"))
    });
    each.collect()
}

/// A header, if it can be one.
pub(super) fn header(name: &str, value: &str) -> Option<(HeaderName, Secret)> {
    let value = value.trim();
    HeaderValue::from_str(value).ok()?;
    Some((name.trim().parse().ok()?, Secret::new(value)))
}
