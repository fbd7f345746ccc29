//! AWS's event stream: binary messages with headers and two checksums.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

/// A header whose value is a string.
const STRING: u8 = 7;
/// Two lengths, and the checksum of them.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// An event of a stream.
pub(super) fn event(kind: &str, payload: &Value) -> Bytes {
    message([":event-type", kind], "event", payload)
}

/// An error in place of an event.
pub(super) fn exception(kind: &str, payload: &Value) -> Bytes {
    message([":exception-type", kind], "exception", payload)
}

fn message(kind: [&str; 2], message_type: &str, payload: &Value) -> Bytes {
    let mut headers = BytesMut::new();
    let json = [":content-type", "application/json"];
    for [name, value] in [kind, json, [":message-type", message_type]] {
        headers.put_u8(u8::try_from(name.len()).expect("a short name"));
        headers.put_slice(name.as_bytes());
        headers.put_u8(STRING);
        headers.put_u16(u16::try_from(value.len()).expect("a short value"));
        headers.put_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let length = PRELUDE + headers.len() + payload.len() + CHECKSUM;
    let mut message = BytesMut::with_capacity(length);
    message.put_u32(u32::try_from(length).expect("less than 4 GiB"));
    message.put_u32(u32::try_from(headers.len()).expect("three short headers"));
    message.put_u32(crc32(&message));
    message.put_slice(&headers);
    message.put_slice(payload.as_bytes());
    message.put_u32(crc32(&message));
    message.freeze()
}

/// The checksum of Ethernet and gzip, bit by bit: the mock's messages are few.
fn crc32(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    });
    !sum
}
