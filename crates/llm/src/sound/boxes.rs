//! Sounds in boxes within boxes: MP4 and WebM.

use memchr::memmem;

use super::of_samples;

/// Boxes that are looked at in one file.
const MAX_BOXES: usize = 4_096;
/// Of a WebM file, nanoseconds.
const USUAL_SCALE: u64 = 1_000_000;
/// Elements of WebM: how long all is, the unit of that and of times, a cluster, its time, a block.
const DURATION: &[u8] = &[0x44, 0x89];
const SCALE: &[u8] = &[0x2a, 0xd7, 0xb1];
const CLUSTER: &[u8] = &[0x1f, 0x43, 0xb6, 0x75];
const TIME: u64 = 0xe7;
const BLOCK: u64 = 0xa3;
/// Where the elements that say how long it is stand.
const HEAD: usize = 4_096;

/// What the head of a movie says.
pub(super) fn mp4(file: &[u8]) -> Option<u64> {
    let movie = find(file, b"moov")?;
    let facts = find(movie, b"mvhd")?;
    let is_long = *facts.first()? == 1;
    let (scale, samples) = if is_long {
        (be32(facts, 20)?, u64::from_be_bytes(*facts.get(24..)?.first_chunk()?))
    } else {
        (be32(facts, 12)?, be32(facts, 16)?)
    };
    of_samples(samples, scale)
}

/// The content of the first box of that name.
fn find<'a>(mut boxes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    for _ in 0..MAX_BOXES {
        let (size, kind) = (be32(boxes, 0)?, boxes.get(4..8)?);
        let (head, size) = match size {
            0 => (8, boxes.len()),
            1 => {
                let size = u64::from_be_bytes(*boxes.get(8..)?.first_chunk()?);
                (16, usize::try_from(size).ok()?)
            }
            size => (8, usize::try_from(size).ok()?),
        };
        if kind == name {
            return boxes.get(head..size.min(boxes.len()));
        }
        boxes = boxes.get(size.max(head)..)?;
    }
    None
}

fn be32(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?)))
}

/// What its head says; what is recorded in a browser says nothing there, and ends with the time of
/// its last block.
pub(super) fn webm(file: &[u8]) -> Option<u64> {
    let head = file.get(..HEAD.min(file.len()))?;
    let scale = element(head, SCALE).and_then(number).filter(|scale| *scale > 0);
    let scale = scale.unwrap_or(USUAL_SCALE);
    let units = element(head, DURATION).and_then(float).or_else(|| last_block(file))?;
    Some(units.checked_mul(scale)?.div_ceil(1_000_000))
}

/// The content of the first element of that id in `bytes`.
fn element<'a>(bytes: &'a [u8], id: &[u8]) -> Option<&'a [u8]> {
    let rest = bytes.get(memmem::find(bytes, id)? + id.len()..)?;
    let (size, rest) = vint(rest)?;
    rest.get(..usize::try_from(size).ok()?)
}

fn last_block(file: &[u8]) -> Option<u64> {
    let cluster = file.get(memmem::rfind(file, CLUSTER)? + CLUSTER.len()..)?;
    let (_, mut rest) = vint(cluster)?;
    let (mut begin, mut last) = (0, 0);
    while let Some((id, size, content)) = next(rest) {
        match id {
            TIME => begin = number(content.get(..size)?)?,
            // Behind the number of the track, which is short.
            BLOCK => {
                let ahead = i16::from_be_bytes(*content.get(1..)?.first_chunk()?);
                last = last.max(u64::try_from(ahead).unwrap_or(0));
            }
            _ => {}
        }
        let Some(behind) = content.get(size..) else { break };
        rest = behind;
    }
    Some(begin.saturating_add(last)).filter(|units| *units > 0)
}

/// The id of an element of one byte, its length, and what follows.
fn next(bytes: &[u8]) -> Option<(u64, usize, &[u8])> {
    let (id, rest) = bytes.split_first()?;
    let (size, rest) = vint(rest)?;
    Some((u64::from(*id), usize::try_from(size).ok()?, rest))
}

/// A number that says in its first bits how long it is.
fn vint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let kept = u64::from(first) & ((1_u64 << (8 - length)) - 1);
    let more = bytes.get(1..length)?;
    Some((more.iter().fold(kept, |sum, byte| sum << 8 | u64::from(*byte)), &bytes[length..]))
}

fn number(bytes: &[u8]) -> Option<u64> {
    let fits = (1..=8).contains(&bytes.len());
    fits.then(|| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn float(bytes: &[u8]) -> Option<u64> {
    let units = match *bytes {
        [a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => f64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    };
    // Read as text, as no cast says what it does with what does not fit.
    (units >= 1.0).then(|| format!("{units:.0}").parse().ok())?
}
