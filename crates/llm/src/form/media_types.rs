//! Types of files, for who is given only their names.

/// Ends of names and what they mean.
const TYPES: &[(&str, &str)] = &[
    ("aac", "audio/aac"),
    ("csv", "text/csv"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mp3"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
];

/// What a file is, by the end of its name or address.
pub(crate) fn by_name(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let end = path.rsplit_once('.')?.1.to_ascii_lowercase();
    let at = TYPES.binary_search_by_key(&end.as_str(), |(end, _)| end).ok()?;
    Some(TYPES[at].1)
}
