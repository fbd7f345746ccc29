//! How records are on disk. A segment's file is empty or begins with [`HEAD`]. Frames follow: length
//! and CRC-32 of the payload, 4 bytes each, little endian, then the record as postcard writes it, and
//! behind it, if there is one, what came later ([`Rest`]): older versions do not read so far.

use serde::{Deserialize, Serialize};

use crate::{Error, SpendRecord};

/// In which form a segment's records are, and with it its index. Fields have no names there: who
/// changes a record's changes this as well, and reads what was released before.
pub(crate) const HEAD: &[u8; 8] = b"dunlinj3";
/// Longer payloads are refused when written and are damage when read.
const MAX_PAYLOAD: u32 = 1 << 20;
/// No frame is longer, with the head before it.
pub(crate) const MAX_FRAME: usize = HEAD.len() + FRAME_HEAD + MAX_PAYLOAD as usize;
/// Length and CRC.
pub(crate) const FRAME_HEAD: usize = 8;
/// Most frames are shorter.
const USUAL_FRAME: usize = 512;

/// What else there is to say of a record.
#[derive(Serialize, Deserialize)]
struct Rest {
    disabled_callbacks: Vec<String>,
}

/// The frame of a record.
pub(crate) fn encode(record: &SpendRecord) -> Result<Vec<u8>, Error> {
    let mut frame = Vec::with_capacity(USUAL_FRAME);
    frame.extend([0; FRAME_HEAD]);
    let plain = "a record is plain data and memory is no file";
    let mut frame = postcard::to_io(record, frame).expect(plain);
    if !record.disabled_callbacks.is_empty() {
        let rest = Rest { disabled_callbacks: record.disabled_callbacks.clone() };
        frame = postcard::to_io(&rest, frame).expect(plain);
    }
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
    let (mut record, rest) = postcard::take_from_bytes::<SpendRecord>(payload).ok()?;
    if !rest.is_empty() {
        let Rest { disabled_callbacks } = postcard::from_bytes(rest).ok()?;
        record.disabled_callbacks = disabled_callbacks;
    }
    Some((record, end))
}

/// Where the frames of a segment begin, whose file begins with `bytes`; it may be torn even before
/// that. `None`: they are in another form.
pub(crate) fn begin(bytes: &[u8]) -> Option<usize> {
    let head = &bytes[..bytes.len().min(HEAD.len())];
    // Blocks that were allocated but never written read as zeros.
    let torn = head.len() < HEAD.len() || head.iter().all(|byte| *byte == 0);
    if head == HEAD { Some(HEAD.len()) } else { torn.then_some(0) }
}

/// How many of the bytes behind `from` are whole frames.
pub(crate) fn whole(bytes: &[u8], from: usize) -> usize {
    let mut end = from;
    while let Some(length) = bytes.get(end..).and_then(frame_length) {
        end += length;
    }
    end - from
}

/// The length of the first whole, undamaged frame of `bytes`.
pub(crate) fn frame_length(bytes: &[u8]) -> Option<usize> {
    frame(bytes).map(|(_, end)| end)
}

/// The payload of the first whole, undamaged frame of `bytes`, and the length of the frame.
fn frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    // An empty frame is one that was allocated, never written.
    let whole = length > 0 && length <= MAX_PAYLOAD;
    let sound = whole && crc32fast::hash(payload) == u32::from_le_bytes(*crc);
    sound.then_some((payload, FRAME_HEAD + payload.len()))
}

#[cfg(test)]
mod tests {
    use dunlin_types::{
        DeploymentId, EntityId, KeyDigest, Line, NanoUsd, PotId, RequestId, Tokens, UnixMillis,
    };

    use super::*;
    use crate::{Attempt, Course, Fault, Kinds, Origin, Outcome, Parts, Said, Whose};

    /// One with all that a record can have, no two values alike.
    fn full() -> SpendRecord {
        let deployment = DeploymentId("d-1".into());
        SpendRecord {
            request: RequestId(u128::MAX - 7),
            key: Some(KeyDigest::of("sk-a")),
            model: "chat".to_owned(),
            deployment: Some(deployment.clone()),
            upstream_model: "gpt".to_owned(),
            started: UnixMillis(1_790_000_000_001),
            ended: UnixMillis(1_790_000_000_300),
            prompt: Tokens(11),
            cached: Tokens(12),
            completion: Tokens(13),
            cost: NanoUsd(u64::MAX),
            outcome: Outcome::Partial,
            stream: true,
            estimated: true,
            unpriced: true,
            call_id: "c-1".to_owned(),
            charged: vec![
                (PotId { of: EntityId(1), line: Line::Main }, UnixMillis(2)),
                (PotId { of: EntityId(3), line: Line::Model("chat".to_owned()) }, UnixMillis(4)),
            ],
            origin: Origin {
                end_user: Some("e".to_owned()),
                tags: vec!["t".to_owned()],
                spend_metadata: Some("{}".to_owned()),
                session: Some("s".to_owned()),
                ip: Some([127, 0, 0, 1].into()),
                user_agent: Some("curl".to_owned()),
            },
            course: Course {
                call_type: "acompletion".to_owned(),
                group: Some("g".to_owned()),
                provider: Some("openai".to_owned()),
                retries: 21,
                fallbacks: 22,
                attempts: vec![Attempt { deployment, status: 503, duration_ms: 23 }],
                first_token: Some(UnixMillis(24)),
            },
            whose: Whose {
                user: Some("u".to_owned()),
                team: Some("m".to_owned()),
                organization: Some("o".to_owned()),
            },
            answer_id: Some("chatcmpl-1".to_owned()),
            kinds: Kinds {
                cache_write: Tokens(31),
                reasoning: Tokens(32),
                audio: Tokens(33),
                image: Tokens(34),
            },
            parts: Parts {
                input: NanoUsd(41),
                output: NanoUsd(42),
                tools: NanoUsd(43),
                cache_read: NanoUsd(44),
                cache_write: NanoUsd(45),
                reasoning: NanoUsd(46),
                discount: NanoUsd(47),
                margin: NanoUsd(48),
            },
            fault: Some(Box::new(Fault {
                status: 429,
                kind: Some("k".to_owned()),
                message: "slow".to_owned(),
            })),
            said: Some(Box::new(Said { request: "ü".to_owned(), answer: "a".to_owned() })),
            disabled_callbacks: Vec::new(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_in_the_form_that_the_head_names() {
        for (record, longest) in [(full(), 300), (SpendRecord::default(), 60)] {
            let frame = encode(&record).expect("short");
            assert!(frame.len() <= longest, "{} bytes", frame.len());
            let longer = [&frame[..], b"rest"].concat();
            assert_eq!(decode(&longer), Some((record, frame.len())));
        }
        let form = crc32fast::hash(&encode(&full()).expect("short"));
        assert_eq!((HEAD, form), (b"dunlinj3", 1_395_610_213), "another form needs another head");
    }

    #[test]
    fn what_came_later_stands_behind_what_older_versions_read() {
        let disabled_callbacks = vec!["otel".to_owned()];
        let record = SpendRecord { disabled_callbacks, ..full() };
        let frame = encode(&record).expect("short");
        assert_eq!(decode(&frame), Some((record, frame.len())));
        let older: SpendRecord = postcard::from_bytes(&frame[FRAME_HEAD..]).expect("as before");
        assert_eq!(older, full());
    }

    #[test]
    fn a_head_is_this_forms_or_torn_or_not_to_be_read() {
        let begins = |bytes: &[u8]| begin(bytes);
        assert_eq!(begins(b"dunlinj3 and more"), Some(8));
        for torn in [&b""[..], b"dun", &[0; 20]] {
            assert_eq!(begins(torn), Some(0), "{torn:?}");
        }
        for other in [&b"dunlinj1 and more"[..], b"\x10\x02\0\0\x01\x02\x03\x04{\"request\":"] {
            assert_eq!(begins(other), None, "{other:?}");
        }
    }
}
