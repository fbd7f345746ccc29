//! Pictures, sounds and files in what tools or the model said, for providers that take only words
//! there.

use crate::form::{Chat, Message, Part, PartKind, Role};

/// Said before what the model showed.
const SHOWN: &str = "Shown by the assistant:";
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

    /// Moves what is no text out of the model's turns: the user shows it next, behind the results of
    /// tools.
    pub fn show_answers_beside(&mut self) {
        for at in (0..self.messages.len()).rev() {
            let message = &mut self.messages[at];
            if message.role != Role::Assistant || !message.parts.iter().any(is_media) {
                continue;
            }
            let media = message.parts.extract_if(.., |part| is_media(part));
            let shown: Vec<Part> = [Part::text(SHOWN)].into_iter().chain(media).collect();
            match self.messages.get_mut(at + 1).filter(|next| next.role == Role::User) {
                Some(next) => {
                    let is_result = |part: &Part| matches!(part.kind, PartKind::ToolResult { .. });
                    let last = next.parts.iter().rposition(is_result).map_or(0, |last| last + 1);
                    next.parts.splice(last..last, shown).for_each(drop);
                }
                None => {
                    let next = Message { role: Role::User, name: None, parts: shown };
                    self.messages.insert(at + 1, next);
                }
            }
        }
    }
}

fn is_media(part: &Part) -> bool {
    matches!(part.kind, PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. })
}
