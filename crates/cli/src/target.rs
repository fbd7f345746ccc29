//! The nodes to ask, the key to use, and how the answer is shown: the flags that all commands
//! share.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dunlin_types::Secret;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::session::Session;

/// A key file holds one line; anything longer is the wrong file.
const MAX_KEY_FILE_BYTES: u64 = 4096;

/// The nodes to ask.
#[derive(Args, Debug)]
pub(crate) struct Nodes {
    /// The nodes to ask, separated by commas. The next one is asked when one cannot be reached or
    /// cannot decide now. No proxy is used.
    #[arg(long, value_name = "URL,...", value_delimiter = ',', value_parser = base_url)]
    #[arg(env = "DUNLIN_URL", default_value = "http://127.0.0.1:4000")]
    pub(crate) url: Vec<String>,
    /// How long one node may take to answer: `500ms`, `10s`, `2m`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
    pub(crate) timeout: Duration,
}

/// The nodes to ask, the key to use, and how the answer is shown.
#[derive(Args, Debug)]
pub struct Target {
    #[command(flatten)]
    nodes: Nodes,
    /// A file with the key; `-` for stdin. Without it the key is taken from DUNLIN_API_KEY, else
    /// from LITELLM_MASTER_KEY. There is no flag for the key itself, because every user of a
    /// machine can see the flags of its processes.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// Write only errors to stderr.
    #[arg(short, long)]
    quiet: bool,
}

/// A verb's own flags and those of all.
#[derive(Args, Debug)]
pub struct With<A: Args> {
    #[command(flatten)]
    pub(crate) own: A,
    #[command(flatten)]
    pub(crate) target: Target,
}

impl Target {
    /// A session with these nodes; a key from a file beats one from the environment.
    pub(crate) fn open(&self, key: Option<NamedKey>) -> Result<Session> {
        let key = self.api_key_file.as_deref().map(NamedKey::of_file).transpose()?.or(key);
        let mut session = Session::new(&self.nodes, key)?;
        (session.output, session.quiet) = (self.output, self.quiet);
        Ok(session)
    }
}

/// A key and where it came from.
pub(crate) struct NamedKey {
    pub(crate) source: String,
    pub(crate) key: Secret,
}

impl NamedKey {
    pub(crate) fn of(source: impl Into<String>, key: Secret) -> Self {
        Self { source: source.into(), key }
    }

    pub(crate) fn of_file(path: &Path) -> Result<Self> {
        let source = path.display().to_string();
        let mut text = String::new();
        let file: io::Result<Box<dyn Read>> = match path.to_str() {
            Some("-") => Ok(Box::new(io::stdin())),
            Some(_) | None => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
        };
        file.and_then(|file| file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text)).map_err(
            |error| Failure::usage(format!("cannot read the key from {source}: {error}"), ""),
        )?;
        let key = text.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("{source} does not contain a key on one line");
            return Err(Failure::usage(message, "put only the key into the file"));
        }
        Ok(Self::of(source, Secret::new(key)))
    }
}

/// A node's base URL without a slash at its end. The base URL that apps use is taken too.
fn base_url(text: &str) -> std::result::Result<String, String> {
    let scheme = if text.contains("://") { "" } else { "http://" };
    let url = reqwest::Url::parse(&format!("{scheme}{}", text.trim()))
        .map_err(|error| error.to_string())?;
    let bare = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
    if !["http", "https"].contains(&url.scheme()) || !bare {
        return Err("expected http://HOST:PORT or https://HOST".to_owned());
    }
    let base = url.as_str().trim_end_matches('/');
    Ok(base.strip_suffix("/v1").unwrap_or(base).to_owned())
}

pub(crate) fn timeout(text: &str) -> std::result::Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let one = match unit {
        "ms" => Duration::from_millis(1),
        "" | "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        _ => return Err(format!("unknown unit `{unit}`; use ms, s or m")),
    };
    match number.parse() {
        Ok(number @ 1_u32..) => Ok(one * number),
        Ok(0) | Err(_) => Err("expected such as 500ms, 10s or 2m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_what_people_have_at_hand() {
        for (text, base) in [
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("n1:4000", "http://n1:4000"),
            ("https://llm.example.org/", "https://llm.example.org"),
            ("https://example.org/gateway/v1/", "https://example.org/gateway"),
            ("http://[::1]:4000/v1", "http://[::1]:4000"),
        ] {
            assert_eq!(base_url(text).as_deref(), Ok(base), "{text}");
        }
        for text in ["", "ftp://n1", "http://", "http://me:secret@n1", "http://n1?x=1"] {
            assert!(base_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_timeout_has_a_unit_and_is_not_nothing() {
        assert_eq!(timeout("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(timeout("7"), Ok(Duration::from_secs(7)));
        assert_eq!(timeout("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "0s", "s", "1h", "-1s", "99999999999s"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }
}
