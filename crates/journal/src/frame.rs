//! The frame of a record on disk: length and CRC-32 of the payload, 4 bytes each, little endian,
//! then the payload as JSON. Field names are kept so that files outlive versions.

use crate::{Error, SpendRecord};

/// Longer payloads are refused when written and are damage when read.
const MAX_PAYLOAD: u32 = 1 << 20;
/// No frame is longer.
pub(crate) const MAX_FRAME: usize = FRAME_HEAD + MAX_PAYLOAD as usize;
/// Length and CRC.
pub(crate) const FRAME_HEAD: usize = 8;

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

/// The payload of the first whole, undamaged frame of `bytes`, and the length of the frame.
pub(crate) fn frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
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
    use crate::{Course, Origin};

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
