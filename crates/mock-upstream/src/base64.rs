//! Base64, written here so that no other implementation vouches for ours.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for at in 0..4 {
            let six = (bits >> (18 - 6 * at)) & 63;
            let written = at as usize <= three.len();
            text.push(if written { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    text
}
