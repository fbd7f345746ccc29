//! Pictures, sounds and files: between Google's MIME types and the kinds of the common form.

use super::wire::{Blob, FileData, Part};
use crate::form::{PartKind, Source, by_name};

/// What a blob is.
pub(super) fn of_blob(blob: Blob) -> PartKind {
    let Blob { mime_type: media_type, data, display_name: name } = blob;
    if media_type.starts_with("image/") {
        return PartKind::Image { source: Source::Inline { media_type, data }, detail: None };
    }
    match media_type.strip_prefix("audio/") {
        Some("mpeg") => PartKind::sound(data, "mp3"),
        Some(format) => PartKind::sound(data, format),
        None => PartKind::File { source: Source::Inline { media_type, data }, name },
    }
}

/// What a file is, by its type or its name.
pub(super) fn of_file(file: FileData) -> PartKind {
    let named = by_name(&file.file_uri);
    let is_image = file.mime_type.as_deref().or(named).is_some_and(|it| it.starts_with("image/"));
    let untold = file.mime_type.filter(|media_type| named != Some(media_type));
    let source = Source::Url(file.file_uri).typed(untold);
    if is_image {
        PartKind::Image { source, detail: None }
    } else {
        PartKind::File { source, name: file.display_name }
    }
}

/// A picture or a document for Google.
pub(super) fn part_of(source: &Source, name: Option<&str>, is_image: bool) -> Part {
    let named = name.map(str::to_owned);
    match source {
        Source::Inline { media_type, data } => Part {
            inline_data: Some(Blob {
                mime_type: media_type.clone(),
                data: data.clone(),
                display_name: named,
            }),
            ..Part::default()
        },
        Source::Typed { url, media_type } => {
            let (mime_type, file_uri) = (Some(media_type.clone()), url.clone());
            let file_data = FileData { mime_type, file_uri, display_name: named };
            Part { file_data: Some(file_data), ..Part::default() }
        }
        // An id of Google's own is a URI as well.
        Source::Url(uri) | Source::Id(uri) => {
            let guess = by_name(uri).or(is_image.then_some("image/jpeg"));
            let is_uploaded = matches!(source, Source::Id(_));
            let mime_type = guess.filter(|_| !is_uploaded).map(str::to_owned);
            let file_data = FileData { mime_type, file_uri: uri.clone(), display_name: named };
            Part { file_data: Some(file_data), ..Part::default() }
        }
    }
}

/// Sound for Google.
pub(super) fn audio(data: &str, format: &str) -> Part {
    let mime_type = format!("audio/{format}");
    let blob = Blob { mime_type, data: data.to_owned(), display_name: None };
    Part { inline_data: Some(blob), ..Part::default() }
}
