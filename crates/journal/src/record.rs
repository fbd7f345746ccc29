//! A spend record and its frame on disk: length and CRC-32 of the payload, 4 bytes each, little
//! endian, then the payload as JSON. Field names are kept so that files outlive versions.

use std::net::IpAddr;

use dunlin_types::{DeploymentId, KeyDigest, NanoUsd, PotId, RequestId, Tokens, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Longer payloads are refused when written and are damage when read.
const MAX_PAYLOAD: u32 = 1 << 20;
/// Length and CRC.
pub(crate) const FRAME_HEAD: usize = 8;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer was delivered whole.
    Success,
    /// A part of the answer was delivered: the client left, or the upstream broke.
    Partial,
    /// No answer was delivered.
    Failure,
}

/// What one request used and cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpendRecord {
    /// The request.
    pub request: RequestId,
    /// Who pays; `None` for the master key.
    pub key: Option<KeyDigest>,
    /// The model as the client named it.
    pub model: String,
    /// Who served it; `None` when nobody did.
    pub deployment: Option<DeploymentId>,
    /// The model's name there.
    pub upstream_model: String,
    /// When the request was accepted.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// Tokens of the prompt, cached ones included.
    pub prompt: Tokens,
    /// Those of the prompt that the provider had cached.
    pub cached: Tokens,
    /// Tokens of the answer.
    pub completion: Tokens,
    /// The cost at the price in force on the serving node.
    pub cost: NanoUsd,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it was streamed.
    pub stream: bool,
    /// True: the upstream reported no usage and the tokens are our estimate.
    pub estimated: bool,
    /// The id the client was told, `x-litellm-call-id`.
    pub call_id: String,
    /// What the cost is charged to, each pot with the period in which the request was admitted.
    #[serde(default)]
    pub charged: Vec<(PotId, UnixMillis)>,
    /// On whose behalf it was made.
    #[serde(default)]
    pub origin: Origin,
    /// How it went.
    #[serde(default)]
    pub course: Course,
}

/// On whose behalf a request was made, as its client says: nothing here is proved. Bounds are those
/// of who reads requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The client's own user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<String>,
    /// The request's tags, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// LiteLLM's `spend_logs_metadata`: a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_metadata: Option<String>,
    /// What several requests have in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The client's program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// How a request went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    /// What was asked for, in LiteLLM's words, such as `acompletion`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub call_type: String,
    /// The model group that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The provider that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Attempts after the first, in the group that answered.
    pub retries: u32,
    /// Groups that failed before it.
    pub fallbacks: u32,
    /// The attempts in their order, at most [`MAX_ATTEMPTS`]: later ones are not on record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// When the first part of a stream was passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<UnixMillis>,
}

/// One attempt at an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who was asked.
    pub deployment: DeploymentId,
    /// The status of the answer, or the one that stands for its absence.
    pub status: u16,
    /// Until the first part of the answer, or the failure; in milliseconds.
    pub duration_ms: u64,
}

/// A record has this many attempts at most: it must fit its frame.
pub const MAX_ATTEMPTS: usize = 64;

/// The frame of a record.
pub(crate) fn encode(record: &SpendRecord) -> Result<Vec<u8>, Error> {
    let mut frame = vec![0; FRAME_HEAD];
    serde_json::to_writer(&mut frame, record)
        .expect("a record is plain data and memory is no file");
    let payload = frame.len() - FRAME_HEAD;
    let length = u32::try_from(payload).ok().filter(|length| *length <= MAX_PAYLOAD);
    let length = length.ok_or(Error::TooLong { bytes: payload, bound: MAX_PAYLOAD })?;
    let crc = crc32fast::hash(&frame[FRAME_HEAD..]);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..FRAME_HEAD].copy_from_slice(&crc.to_le_bytes());
    Ok(frame)
}

/// The first record of `bytes` and the length of its frame. `None`: the rest is torn or damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<(SpendRecord, usize)> {
    let (payload, end) = frame(bytes)?;
    Some((serde_json::from_slice(payload).ok()?, end))
}

/// The length of the first whole, undamaged frame of `bytes`.
pub(crate) fn frame_length(bytes: &[u8]) -> Option<usize> {
    frame(bytes).map(|(_, end)| end)
}

fn frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    // Blocks that were allocated but never written read as zeros: an empty frame is damage.
    let whole = length > 0 && length <= MAX_PAYLOAD;
    let sound = whole && crc32fast::hash(payload) == u32::from_le_bytes(*crc);
    sound.then_some((payload, FRAME_HEAD + payload.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_older_version_is_read() {
        let json = br#"{"request":"00000000000000000000000000000007","key":null,"model":"chat",
            "deployment":null,"upstream_model":"m","started":1,"ended":2,"prompt":3,"cached":0,
            "completion":4,"cost":5,"outcome":"success","stream":false,"estimated":false,
            "call_id":"7"}"#;
        let length = u32::try_from(json.len()).expect("short");
        let crc = crc32fast::hash(json);
        let frame = [&length.to_le_bytes()[..], &crc.to_le_bytes(), json].concat();
        let (record, end) = decode(&frame).expect("a record");
        assert_eq!((record.call_id.as_str(), end), ("7", frame.len()));
        assert_eq!((record.origin, record.course), (Origin::default(), Course::default()));
    }
}
