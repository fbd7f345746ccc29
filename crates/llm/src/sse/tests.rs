//! Streams cut in every way give the same frames.

use proptest::prelude::*;

use super::*;

/// All frames of `stream`, read in pieces of these sizes over and over.
fn frames(stream: &[u8], sizes: &[usize]) -> Result<Vec<Bytes>, FrameTooLong> {
    let (mut splitter, mut found) = (Splitter::default(), Vec::new());
    let mut rest = Bytes::copy_from_slice(stream);
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        splitter.push(rest.split_to(size.min(rest.len())));
        while let Some(frame) = splitter.next_frame()? {
            found.push(frame);
        }
    }
    found.push(splitter.rest());
    Ok(found)
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_stream() {
    let stream = "\u{feff}data: a\n\ndata: \u{feff}b\n\n";
    for sizes in [&[100][..], &[1], &[2, 5]] {
        let expected = ["data: a\n\n", "data: \u{feff}b\n\n", ""];
        assert_eq!(frames(stream.as_bytes(), sizes).expect("short"), expected, "{sizes:?}");
    }
}

#[test]
fn a_blank_line_of_any_kind_ends_a_frame() {
    for (stream, expected) in [
        ("data: a\n\ndata: b\n\n", vec!["data: a\n\n", "data: b\n\n", ""]),
        ("data: a\r\n\r\nb", vec!["data: a\r\n\r\n", "b"]),
        ("data: a\r\rdata: b\r\rx", vec!["data: a\r\r", "data: b\r\r", "x"]),
        ("a\n\r\n\n", vec!["a\n\r\n", "\n", ""]),
        ("a: 1\nb: 2\n\n:c\n\n", vec!["a: 1\nb: 2\n\n", ":c\n\n", ""]),
    ] {
        assert_eq!(
            frames(stream.as_bytes(), &[usize::MAX]),
            Ok(expected.iter().map(|frame| Bytes::from(*frame)).collect()),
            "{stream:?}"
        );
    }
}

#[test]
fn a_frame_in_one_read_is_not_copied() {
    let read = Bytes::from_static(b"data: a\n\ndata: b\n\n");
    let mut splitter = Splitter::default();
    splitter.push(read.clone());
    for start in [0, 9] {
        let frame = splitter.next_frame().expect("short").expect("whole");
        assert_eq!(frame.as_ptr(), read[start..].as_ptr());
    }
}

#[test]
fn a_frame_may_be_a_mebibyte_and_no_more() {
    for (length, fits) in [(MAX_FRAME_BYTES, true), (MAX_FRAME_BYTES + 1, false)] {
        let stream = "x".repeat(length - 2) + "\n\n";
        for size in [usize::MAX, 1000, length - 1] {
            assert_eq!(frames(stream.as_bytes(), &[size]).is_ok(), fits, "{length} by {size}");
        }
    }
}

proptest! {
    #[test]
    fn frames_do_not_depend_on_the_cuts(
        stream in "[\n\ra:]{0,60}",
        sizes in prop::collection::vec(1..7_usize, 1..5),
    ) {
        let whole = frames(stream.as_bytes(), &[usize::MAX]).expect("short");
        prop_assert_eq!(frames(stream.as_bytes(), &sizes).expect("short"), whole.clone());
        prop_assert_eq!(whole.concat(), stream.as_bytes());
    }
}
