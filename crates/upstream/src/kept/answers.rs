//! The answers of a job, or its errors, read from their objects one after the other, and told as
//! OpenAI's lines as they come.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_egress::BodyError;
use dunlin_llm::batch::{Line, Lines};
use dunlin_providers::ProviderError;
use dunlin_providers::bucket::{Asked, Listed};
use dunlin_providers::jobs::{Jobs, Part, Place, Told, too_long};
use dunlin_router::Deployment;
use futures::TryStreamExt;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use super::Keeper;
use crate::attempt::Attempt;
use crate::error::Failure;
use crate::relay::{Relayed, provider_of};
use crate::{MAX_HELD_REPLY_BYTES, Upstream};

/// Objects with an answer in each line.
pub(super) struct Answers {
    upstream: Upstream,
    by: Arc<Deployment>,
    /// It is in flight as long as they are read for a client.
    _attempt: Option<Attempt>,
    place: Place,
    within: Duration,
    /// The first is being read.
    objects: VecDeque<Listed>,
    read: Option<Relayed>,
    lines: Lines,
    /// Lines of the first that were told.
    number: u64,
}

impl Answers {
    /// `read` is the first of the objects.
    pub(super) fn new(
        Keeper { upstream, by, within, .. }: &Keeper<'_>,
        place: Place,
        objects: Vec<Listed>,
        read: Relayed,
    ) -> Self {
        Self {
            upstream: (*upstream).clone(),
            by: Arc::clone(by),
            _attempt: None,
            place,
            within: *within,
            objects: objects.into(),
            read: Some(read),
            lines: Lines::new(MAX_HELD_REPLY_BYTES),
            number: 0,
        }
    }

    pub(super) fn relayed(self, attempt: Attempt, speaker: &'static str) -> Relayed {
        let held = Self { _attempt: Some(attempt), ..self };
        let pieces = futures::stream::try_unfold(held, async |mut answers| {
            let piece = answers.next().await?;
            Ok::<_, ProviderError>(piece.map(|piece| (piece, answers)))
        });
        let frames = pieces.map_ok(Frame::data).map_err(BodyError::from);
        let body = StreamBody::new(frames).boxed_unsync();
        Relayed::written(StatusCode::OK, "application/jsonl", body, speaker)
    }

    /// The next lines; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ProviderError> {
        loop {
            let Self { upstream, by, place, within, objects, read, .. } = self;
            let Some(read) = read else {
                let Some(object) = objects.front() else { return Ok(None) };
                let asked = Asked::Object(&object.name);
                let answered = upstream.ask_bucket(by, &place.at.bucket, asked, *within).await;
                self.read = Some(opened(by, object, answered)?);
                continue;
            };
            let piece = poll_fn(|cx| read.body.poll_next(cx)).await.transpose()?;
            let written = self.written(piece);
            if !written.is_empty() {
                return Ok(Some(Bytes::from(written)));
            }
        }
    }

    /// The lines that end in `piece`, or with the object if there is no more of it.
    fn written(&mut self, piece: Option<Bytes>) -> Vec<u8> {
        let Self { by, place: Place { part, .. }, objects, lines, number, .. } = self;
        let jobs = Jobs::of(provider_of(by), &by.target).expect("it had jobs when this began");
        let mut written = Vec::new();
        let object = objects.front().expect("it is being read");
        let each = |line: Line<'_>| {
            *number += 1;
            let (object, made, number) = (&*object.name, object.made, *number);
            let told = Told { model: &by.group, object, number, made };
            let line = match line {
                Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => None,
                Line::Whole(line) => jobs.answer(line, *part, &told),
                Line::Long(bytes) => (*part == Part::Output).then(|| too_long(bytes, &told)),
            };
            if let Some(line) = line {
                written.extend(line);
                written.push(b'\n');
            }
        };
        match piece {
            Some(piece) => lines.push(piece, each),
            None => {
                lines.end(each);
                (self.number, self.read) = (0, None);
                self.objects.pop_front();
            }
        }
        written
    }
}

fn opened(
    by: &Deployment,
    object: &Listed,
    opened: Result<Relayed, Failure>,
) -> Result<Relayed, ProviderError> {
    let opened = opened.map_err(|failure| failure.error)?;
    if opened.status.is_success() {
        return Ok(opened);
    }
    let speaker = provider_of(by).speaker();
    let why = format!("the bucket answers {} for `{}`", opened.status, object.name);
    Err(ProviderError::lacking(speaker, &why))
}
