//! Embeddings: the same text, the same vector, in any dialect.

/// How long a vector is unless it is asked for.
const SIZE: u64 = 3;
/// How long it may be.
const MAX_SIZE: u64 = 4096;

/// A vector for a text. Its numbers are eighths, which every format carries exactly.
pub(crate) fn of(text: &str, size: Option<u64>) -> Vec<f32> {
    // FNV-1a
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (0..size.unwrap_or(SIZE).min(MAX_SIZE))
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let eighths = i16::try_from(state >> 60).expect("four bits") - 8;
            f32::from(eighths) / 8.0
        })
        .collect()
}
