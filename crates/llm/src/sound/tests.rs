//! Files of each form, made here, and what they say.

use proptest::prelude::*;

use super::*;

fn wave(seconds: u32, size: u32) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0LIST\x03\0\0\0abc\0data".to_vec();
    file.extend(size.to_le_bytes());
    file.resize(file.len() + 32_000 * seconds as usize, 0);
    file
}

fn flac(samples: u64) -> Vec<u8> {
    let mut file = b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0".to_vec();
    file.extend((16_000_u64 << 44 | 15 << 36 | samples).to_be_bytes());
    file.resize(60_000, 0);
    file
}

fn ogg(head: &[u8], samples: u64) -> Vec<u8> {
    let page = |samples: u64| [b"OggS\0\x02", &samples.to_le_bytes()[..], &[0; 14]].concat();
    [page(0), head.to_vec(), vec![0; 20_000], page(samples)].concat()
}

fn mp3(frames: usize) -> Vec<u8> {
    // 128 kbit/s, 44,100 samples a second, no padding: 417 bytes for 1152 samples.
    let mut frame = vec![0xff, 0xfb, 0x90, 0x00];
    frame.resize(417, 0);
    [b"ID3\x04\0\0\0\0\0\x05abcde".to_vec(), frame.repeat(frames)].concat()
}

fn aac(frames: usize) -> Vec<u8> {
    // 16,000 samples a second, 100 bytes for 1024 of them.
    let mut frame = vec![0xff, 0xf1, 0x60, 0x40, 0x0c, 0x80];
    frame.resize(100, 0);
    frame.repeat(frames)
}

fn mp4(scale: u32, duration: u32) -> Vec<u8> {
    let mut facts = b"\0\0\0\x6cmvhd".to_vec();
    facts.resize(8 + 12, 0);
    facts.extend(scale.to_be_bytes());
    facts.extend(duration.to_be_bytes());
    facts.resize(0x6c, 0);
    let mut file = b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\x27\x10mdat".to_vec();
    file.resize(16 + 10_000, 0);
    file.extend(u32::try_from(8 + facts.len()).expect("short").to_be_bytes());
    file.extend(b"moov");
    [file, facts].concat()
}

fn webm(duration: Option<f32>) -> Vec<u8> {
    let mut file = vec![0x1a, 0x45, 0xdf, 0xa3, 0x80, 0x2a, 0xd7, 0xb1, 0x83, 0x0f, 0x42, 0x40];
    if let Some(duration) = duration {
        file.extend([0x44, 0x89, 0x84]);
        file.extend(duration.to_be_bytes());
    }
    file.resize(file.len() + 8_000, 0);
    // A cluster that begins at 2 s, with a block half a second later.
    file.extend([0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    file.extend([0xe7, 0x82, 0x07, 0xd0, 0xa3, 0x86, 0x81, 0x01, 0xf4, 0x80, 1, 2]);
    file
}

#[test]
fn each_form_says_how_long_it_is() {
    let opus = [b"OpusHead\x01\x01".as_slice(), &312_u16.to_le_bytes(), &[0; 9]].concat();
    let vorbis =
        [b"\x01vorbis\0\0\0\0\x01".as_slice(), &16_000_u32.to_le_bytes(), &[0; 9]].concat();
    let (long, cut) = (mp3(400), mp3(40));
    let cases = [
        ("wav", wave(3, 96_000), 3_000),
        ("wav of unknown length", wave(3, 0), 3_000),
        ("wav that says more than it has", wave(3, u32::MAX), 3_000),
        ("flac", flac(48_000), 3_000),
        ("opus", ogg(&opus, 48_000 * 3 + 312), 3_000),
        ("vorbis", ogg(&vorbis, 48_000), 3_000),
        ("mp3", long.clone(), 10_449),
        ("aac", aac(50), 3_200),
        ("mp4", mp4(1_000, 3_000), 3_000),
        ("webm", webm(Some(3_000.0)), 3_000),
        ("webm of a browser", webm(None), 2_500),
        // By their length: what is no sound, what is empty, what says what cannot be.
        ("other", vec![7; 16_000], 2_000),
        ("empty", Vec::new(), 0),
        ("flac of unknown length", flac(0), 7_500),
        ("mp4 of no length", mp4(1_000, 0), 1_268),
        ("mp4 of days", mp4(1, 1_000_000), 1_268),
    ];
    for (name, file, expected) in cases {
        let length = file.len() as u64;
        let said = millis(&file, length);
        assert!(said.abs_diff(expected) <= 1, "{name}: {said}, not {expected}");
    }
    let begun = millis(&cut, long.len() as u64);
    assert!(begun.abs_diff(10_449) < 10, "the rest is like what is known: {begun}");
}

#[test]
fn what_passes_is_measured_by_its_head_and_length() {
    let file = mp3(400);
    let mut passing = Measure::new("audio/mpeg");
    file.chunks(1_000).for_each(|piece| passing.push(piece));
    assert!(passing.millis().abs_diff(10_449) < 10, "{}", passing.millis());
    let mut raw = Measure::new("audio/pcm;rate=24000");
    raw.push(&[0; 96_000]);
    assert_eq!(raw.millis(), 2_000);
    assert_eq!(Measure::new("audio/mpeg").millis(), 0);
}

proptest! {
    #[test]
    fn whatever_a_file_says_it_is_measured(
        which in 0..6_usize,
        at in 0..200_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let heads = [wave(0, 9), flac(9), ogg(b"OpusHead", 9), mp3(2), mp4(9, 9), webm(Some(9.0))];
        let mut file = heads[which].clone();
        let at = at.min(file.len());
        file.splice(at.., bytes);
        let length = file.len() as u64;
        let said = millis(&file, length);
        prop_assert!(said <= length * 20 + 1 && (length == 0 || said > 0));
    }
}

/// A budget that is strict holds for what the bytes can be, whatever a figure says.
#[test]
fn a_figure_that_lies_shortens_no_sound_that_its_bytes_can_be() {
    let most = |file: &[u8]| most_millis(file, file.len() as u64);
    let mut lying = mp4(1_000, 100);
    lying.resize(60_000, 0);
    for file in [flac(1_600), ogg(b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0", 4_800), lying] {
        assert!(most(&file) >= file.len() as u64, "at eight kilobits a second, {}", most(&file));
    }
    // A frame of sound, and something else that decoders look behind.
    let hidden = [mp3(40), vec![0; 9], mp3(4_000)].concat();
    assert!(most(&hidden) >= 4_000 * 26, "{}", most(&hidden));
    // What lies there as it says is as long as it says.
    assert_eq!(most(&mp3(1_000)), millis(&mp3(1_000), mp3(1_000).len() as u64));
    assert_eq!(most(&aac(500)), millis(&aac(500), aac(500).len() as u64));
    assert!((10_000..10_010).contains(&most(&wave(10, 100))), "whatever it says of its size");
}
