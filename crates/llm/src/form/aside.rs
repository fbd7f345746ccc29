//! Pictures, sounds and files in what tools said, for providers that take only words there.

use crate::form::{Chat, Part, PartKind, Role};

/// Said by a tool whose result is all beside it.
const BELOW: &str = "The result is in the message that follows.";

impl Chat {
    /// Moves what is no text out of the results of tools, behind them and with a word on where it
    /// comes from: the user shows it.
    pub fn show_results_beside(&mut self) {
        for message in self.messages.iter_mut().filter(|message| message.role == Role::User) {
            let mut shown = Vec::new();
            let mut last = 0;
            for (at, part) in message.parts.iter_mut().enumerate() {
                let PartKind::ToolResult { call, name, parts, .. } = &mut part.kind else {
                    continue;
                };
                let media: Vec<Part> = parts.extract_if(.., |part| is_media(part)).collect();
                last = at + 1;
                if media.is_empty() {
                    continue;
                }
                if parts.is_empty() {
                    parts.push(Part::text(BELOW));
                }
                let of = name.as_deref().unwrap_or(call);
                shown.push(Part::text(format!("Result of {of}:")));
                shown.extend(media);
            }
            message.parts.splice(last..last, shown).for_each(drop);
        }
    }
}

fn is_media(part: &Part) -> bool {
    matches!(part.kind, PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. })
}
