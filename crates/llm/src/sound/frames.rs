//! Sounds that are a row of frames, each with a head of its own: MP3 and AAC.

/// Kilobits a second by version (1, or 2 and 2.5) and layer (I, II, III) of MPEG.
const BITRATES: [[[u16; 15]; 3]; 2] = [
    [
        [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    ],
    [
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ],
];
const MPEG_RATES: [u64; 3] = [44_100, 48_000, 32_000];
const AAC_RATES: [u64; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// What may stand before the first frame.
const MAX_TAG: usize = 1 << 28;
/// What may stand behind the last one: a tag of the first version.
const MAX_END: u64 = 128;

/// One frame: its bytes, its samples, and how many of these are a second.
struct Head {
    bytes: usize,
    samples: u64,
    rate: u64,
}

/// The samples of the frames at hand; if these are not all of `length` bytes, then the others are
/// taken to be like them.
pub(super) fn millis(head: &[u8], length: u64) -> Option<u64> {
    let begin = tag(head)?;
    let (at, micros) = walk(head, begin)?;
    let walked = (at - begin) as u64;
    // One frame may be there by chance.
    if walked == 0 || (head.get(at..at + 4).is_some() && micros < 100_000) {
        return None;
    }
    let left = length.saturating_sub(at as u64);
    let is_whole = head.len() as u64 >= length;
    let others = if is_whole { 0 } else { left.checked_mul(micros)? / walked };
    let micros = micros.saturating_add(others);
    Some(micros.div_ceil(1000))
}

/// The same, if the sound is a row of frames from its beginning to its end.
pub(super) fn all_millis(head: &[u8], length: u64) -> Option<u64> {
    let (at, micros) = walk(head, tag(head)?)?;
    let is_all = micros > 0 && length.saturating_sub(at as u64) <= MAX_END;
    is_all.then(|| micros.div_ceil(1000))
}

/// Where the frames from `begin` on end, and how long they last.
fn walk(head: &[u8], begin: usize) -> Option<(usize, u64)> {
    let (mut at, mut micros) = (begin, 0_u64);
    while let Some(frame) = head.get(at..).and_then(read) {
        micros += frame.samples * 1_000_000 / frame.rate;
        at = at.checked_add(frame.bytes)?;
    }
    Some((at, micros))
}

/// The length of an ID3 tag.
fn tag(head: &[u8]) -> Option<usize> {
    if !head.starts_with(b"ID3") {
        return Some(0);
    }
    let size = head.get(6..10)?.iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
    Some(size + 10).filter(|size| *size < MAX_TAG)
}

fn read(bytes: &[u8]) -> Option<Head> {
    let [sync, kind, third, fourth, ..] = *bytes else { return None };
    if sync != 0xff || kind & 0xe0 != 0xe0 {
        return None;
    }
    let (version, layer) = (kind >> 3 & 3, kind >> 1 & 3);
    if kind & 0xf0 == 0xf0 && layer == 0 {
        return aac(third, fourth, bytes.get(4..6)?);
    }
    if version == 1 || layer == 0 {
        return None;
    }
    let is_first = version == 3;
    let (layer, index) = (3 - usize::from(layer), usize::from(third >> 4));
    let kilobits = *BITRATES[usize::from(!is_first)][layer].get(index)?;
    let rate = *MPEG_RATES.get(usize::from(third >> 2 & 3))?;
    let rate = match version {
        3 => rate,
        2 => rate / 2,
        _ => rate / 4,
    };
    let samples = match (layer, is_first) {
        (0, _) => 384,
        (2, false) => 576,
        _ => 1152,
    };
    let padding = u64::from(third >> 1 & 1) * if layer == 0 { 4 } else { 1 };
    let bytes = samples / 8 * u64::from(kilobits) * 1000 / rate + padding;
    let bytes = usize::try_from(bytes).ok().filter(|_| kilobits > 0)?;
    Some(Head { bytes, samples, rate })
}

fn aac(third: u8, fourth: u8, more: &[u8]) -> Option<Head> {
    let rate = *AAC_RATES.get(usize::from(third >> 2 & 15))?;
    let length = usize::from(fourth & 3) << 11;
    let bytes = length | usize::from(more[0]) << 3 | usize::from(more[1] >> 5);
    (bytes > 6).then_some(Head { bytes, samples: 1024, rate })
}
