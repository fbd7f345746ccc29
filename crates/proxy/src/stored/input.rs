//! What the lines of a batch's input ask for, and on whose behalf: heard when the file comes in, and
//! noted, for its provider gets nothing of what is the gateway's alone. Of a file that nothing is
//! noted of, what the provider has is read.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use dunlin_llm::batch::{Hearing, Line, LineLabels, Shape, asked_in_line};
use dunlin_llm::{Place as Spot, Required, rename_ids};
use dunlin_providers::jobs;
use dunlin_providers::sigv4::path_segment;
use dunlin_router::Deployment;
use dunlin_router::relay::{Asked, of_models};
use dunlin_router::tool_models::take_in;
use dunlin_store::{Entry, Kind, Label, NotStored};
use dunlin_types::{RequestId, Served, Tokens, UnixMillis};
use serde::{Deserialize, Serialize};

use super::home::{Home, Wish};
use super::noted::{LISTED_FOR, after};
use super::{Asking, fetch, noted, output};
use crate::Proxy;
use crate::bill::found;
use crate::response::error::{Failed, Place, Refused};

/// Where a line names its model.
pub(super) const MODEL: &[&Spot] = &[&["body", "model"]];
/// Models of one input whose names are kept, and how long those are at most.
const MAX_MODELS: usize = 32;
const MAX_MODEL_BYTES: usize = 256;
/// Different addresses of one input that are kept, and how long those are at most: of two one is wrong.
const MAX_URLS: usize = 2;
const MAX_URL_BYTES: usize = 256;

/// An input, as far as the gateway is to know it.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Input {
    /// Estimated: its prompts, and the longest answers that it allows itself.
    tokens: u64,
    /// What its lines call their model, as far as its provider was told another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    pub(crate) labels: LineLabels,
    /// The models that its lines name. `None`: that is not known.
    #[serde(default)]
    models: Option<BTreeSet<String>>,
    /// The models that their tools may ask, each with the first line that says so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tool_models: BTreeMap<String, u64>,
    /// For what its lines are, each with the first line that says so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    urls: BTreeMap<String, u64>,
}

impl Input {
    /// Hears all lines of `content`, each of which must have all that is `required`. The flag says
    /// that some say what is not for their provider.
    pub(super) fn of(content: &Bytes, required: Required<'_>) -> Result<(Self, bool), Failed> {
        let mut reader = Reader::new(required);
        for line in content.split(|byte| *byte == b'\n') {
            reader.line(&content.slice_ref(line));
        }
        let has_ours = reader.hearing.has_ours();
        Ok((reader.end()?.0, has_ours))
    }

    /// The same, whose lines name that model.
    pub(super) fn named(self, model: Option<String>) -> Self {
        Self { model, ..self }
    }

    /// Of a batch that is in one body, whose requests were heard.
    pub(crate) fn heard(labels: LineLabels) -> Self {
        Self { labels, ..Self::default() }
    }

    /// All its lines are for the endpoint that the batch is for, if they say.
    pub(super) fn check_endpoint(&self, endpoint: &str) -> Result<(), Failed> {
        let others = self.urls.iter().filter(|(url, _)| route(url) != route(endpoint));
        let Some((url, line)) = others.min_by_key(|(_, line)| **line) else { return Ok(()) };
        let message = format!(
            "its `url` is '{url}', and the batch's `endpoint` is '{endpoint}': they must be the same"
        );
        let refused = Refused::Unfit { param: "endpoint", message };
        Err(Failed::from(refused).at(Place::line(*line)))
    }

    pub(super) fn tokens(&self) -> Tokens {
        Tokens(self.tokens)
    }

    /// Notes it of what `by`'s provider calls `id`.
    pub(crate) async fn keep(
        &self,
        proxy: &Proxy,
        by: &Deployment,
        id: &str,
    ) -> Result<(), NotStored> {
        let (request, made) = (name(by, id), proxy.0.clock.unix());
        let until = after(made, LISTED_FOR);
        let entry = Entry { id: request, label: Some(label(request)), made, until };
        let text = Bytes::from(serde_json::to_vec(self).expect("plain data"));
        let store = &proxy.0.store;
        store.put(store.holders(request), Kind::Note, entry, text).await
    }

    /// What is noted of it.
    pub(super) async fn kept(proxy: &Proxy, by: &Deployment, id: &str) -> Option<Self> {
        let notes = proxy.0.store.notes(label(name(by, id))).await;
        notes.iter().find_map(|note| serde_json::from_str(&note.text).ok())
    }
}

/// Azure's addresses name no version.
fn route(url: &str) -> &str {
    url.strip_prefix("/v1").unwrap_or(url)
}

fn name(by: &Deployment, id: &str) -> RequestId {
    found::found(by, &format!("input {id}"), None, UnixMillis(0)).request
}

fn label(request: RequestId) -> Label {
    Label(request.0.max(1))
}

impl Asking<'_> {
    /// What serves a batch of that input which is made at `home`, with what tools ask there.
    pub(super) fn served_at(&self, home: &Deployment, input: &Input) -> Result<Served, Failed> {
        let models = input.models.iter().flatten().map(String::as_str).collect::<Vec<_>>();
        let providers: &[&str] = &[&home.provider];
        let asked = Asked { providers, models: &models, chosen: None, reads: false };
        let found = of_models(&self.serving.catalog, self.caller.access(), asked);
        let mut served = Served { unclear: found.unclear, ..Served::from(&home.group) };
        found.all().for_each(|name| served.called(name));
        for (model, line) in &input.tool_models {
            let (catalog, access) = (&self.serving.catalog, self.caller.access());
            let taken = take_in(catalog, access, providers, iter::once(&**model), &mut served);
            taken.map_err(|none| {
                let refused = Refused::no_route(none, self.call.endpoint, self.caller);
                Failed::from(refused).at(Place::line(*line))
            })?;
        }
        Ok(served)
    }

    /// What the file asks for that the provider of `home` calls `file`.
    pub(super) async fn input(&self, home: &Arc<Deployment>, file: &str) -> Result<Input, Failed> {
        if let Some(noted) = Input::kept(self.proxy, home, file).await {
            return Ok(noted);
        }
        if jobs::may_keep(&home.provider) {
            let reason = "it is no longer known on whose behalf the lines of the input file are, \
                          which the provider has in other words: upload it again";
            return Err(Refused::CannotKnow { reason: reason.to_owned() }.into());
        }
        let path = format!("/files/{}/content", path_segment(file));
        let content = fetch::get(self.proxy, self.serving, home, path).await;
        let mut reader = Reader::new(self.caller.required());
        let read = output::each_line(content, |line| match line {
            Line::Whole(line) => reader.line(&Bytes::copy_from_slice(line)),
            Line::Long(bytes) => reader.long(bytes),
        });
        if read.await.is_none() {
            let reason =
                "the input file of the batch cannot be read, and it is not known what its \
                          lines ask for"
                    .to_owned();
            return Err(Refused::CannotKnow { reason }.into());
        }
        if reader.hearing.has_ours() {
            let message =
                "Its lines say something to the gateway, which its provider has as it is: \
                           upload it again with `purpose: batch`."
                    .to_owned();
            return Err(Refused::Unfit { param: "input_file_id", message }.into());
        }
        let (input, models) = reader.end()?;
        let wish = Wish { provider: Some(&home.provider), ..Wish::default() };
        match Home::find(self, wish, &models, false)?.serves(home, &models) {
            true => Ok(input),
            false => Err(Refused::several_models(&models).into()),
        }
    }
}

/// The lines of an input, one after the other.
struct Reader<'r> {
    required: Required<'r>,
    hearing: Hearing,
    tokens: u64,
    lines: u64,
    /// Each with the first line that names it.
    models: BTreeMap<String, u64>,
    urls: BTreeMap<String, u64>,
    /// Why the first bad one is bad.
    bad: Option<Failed>,
}

impl<'r> Reader<'r> {
    fn new(required: Required<'r>) -> Self {
        let (hearing, models, urls) = Default::default();
        Self { required, hearing, tokens: 0, lines: 0, models, urls, bad: None }
    }

    fn line(&mut self, line: &Bytes) {
        self.lines += 1;
        if self.bad.is_some() || line.trim_ascii().is_empty() {
            return;
        }
        self.tokens = self.tokens.saturating_add(asked_in_line(line).0);
        note_model(&mut self.models, (self.lines, line));
        self.note_url(line);
        let heard = self.hearing.hear((self.lines, Shape::Line), line, self.required);
        self.bad = heard.err().map(|bad| Failed::from(bad).at(Place::line(self.lines)));
    }

    fn note_url(&mut self, line: &Bytes) {
        if self.urls.len() == MAX_URLS {
            return;
        }
        let is_other = |url: &String| self.urls.keys().all(|known| route(known) != route(url));
        let url = noted::text(line, "url").filter(|url| url.len() <= MAX_URL_BYTES);
        if let Some(url) = url.filter(is_other) {
            self.urls.insert(url, self.lines);
        }
    }

    fn long(&mut self, bytes: u64) {
        self.lines += 1;
        let message = format!("it has {bytes} bytes, which is too long to be read");
        let refused = Refused::Unfit { param: "input_file_id", message };
        self.bad.get_or_insert(Failed::from(refused).at(Place::line(self.lines)));
    }

    fn end(self) -> Result<(Input, BTreeMap<String, u64>), Failed> {
        let Self { tokens, hearing, models, urls, bad, .. } = self;
        let tool_models = hearing.tool_models().clone();
        if let Some(bad) = bad {
            return Err(bad);
        }
        let can_be_kept =
            models.len() <= MAX_MODELS && models.keys().all(|name| name.len() <= MAX_MODEL_BYTES);
        let names = can_be_kept.then(|| models.keys().cloned().collect());
        let labels = hearing.end();
        let input = Input { tokens, model: None, labels, models: names, tool_models, urls };
        Ok((input, models))
    }
}

/// Notes the model that the line of that number names, if no line before it does.
pub(super) fn note_model(models: &mut BTreeMap<String, u64>, (number, line): (u64, &Bytes)) {
    let Ok(_) = rename_ids(line, MODEL, &mut |model: &str| {
        models.entry(model.to_owned()).or_insert(number);
        Ok::<_, Infallible>(None)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_says_what_it_asks_for_and_a_bad_line_where_it_is() {
        let line = r#"{"custom_id":"a","body":{"messages":[],"max_tokens":100,"user":"ann"}}"#;
        let other = line.replace(r#""a""#, r#""b""#);
        let input = Bytes::from(format!("{line}\n\n \r\n{other}"));
        let Ok((read, has_ours)) = Input::of(&input, [&[], &[]]) else { panic!("it is right") };
        assert!((200..270).contains(&read.tokens().0), "{}", read.tokens);
        assert!(!has_ours && read.labels.sets.len() == 1);
        assert!(read.check_endpoint("/v1/responses").is_ok(), "they do not say");
        let lines = ["/v1/responses", "/responses", "/v1/embeddings"];
        let lines = lines
            .map(|url| format!(r#"{{"custom_id":"{url}","url":"{url}","body":{{"input":"a"}}}}"#));
        let input = Bytes::from(lines[..2].join("\n"));
        let Ok((read, _)) = Input::of(&input, [&[], &[]]) else { panic!("it is right") };
        assert!(read.check_endpoint("/v1/responses").is_ok());
        let told = read.check_endpoint("/v1/embeddings").expect_err("another").body();
        assert!(
            told.message.starts_with("line 1: its `url` is '/v1/responses'"),
            "{}",
            told.message
        );
        let required = ["metadata.run".to_owned()];
        let input = Bytes::from(format!("\n{line}"));
        let Err(bad) = Input::of(&input, [&required, &[]]) else { panic!("it lacks something") };
        let told = bad.body().message;
        assert!(told.starts_with("line 2: ") && told.contains("metadata.run"), "{told}");
        let input = Bytes::from(format!("{line}\n\n{line}"));
        let Err(bad) = Input::of(&input, [&[], &[]]) else { panic!("its answers are not apart") };
        let told = bad.body();
        assert!(told.message.starts_with("line 3: its `custom_id` is also that of request 1"));
        assert_eq!((told.code, told.param.as_deref()), (400, Some("custom_id")));
    }
}
