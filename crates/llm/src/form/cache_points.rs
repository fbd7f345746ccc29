//! Cache points that the operator sets: LiteLLM's `cache_control_injection_points`.

use crate::form::{Cache, Chat, Message, Role, Tool};

/// Where a prompt's beginning is marked, so that its provider keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePoint {
    /// Behind what.
    pub at: CachePlace,
    /// For how long.
    pub cache: Cache,
}

/// Behind what a cache point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePlace {
    /// Each message of that role.
    Role(Role),
    /// The message of that number, from 0; below zero from the end.
    Message(i64),
    /// The tools.
    Tools,
}

impl Chat {
    /// Sets the points. What the client has marked itself stays as it is.
    pub fn mark(&mut self, points: &[CachePoint]) {
        for CachePoint { at, cache } in points {
            match *at {
                CachePlace::Role(role) => {
                    let of_role = self.messages.iter_mut().filter(|message| message.role == role);
                    of_role.for_each(|message| mark(message, *cache));
                }
                CachePlace::Message(index) => {
                    let count = i64::try_from(self.messages.len()).unwrap_or(i64::MAX);
                    let at = if index < 0 { count.saturating_add(index) } else { index };
                    let at = usize::try_from(at).ok();
                    if let Some(message) = at.and_then(|at| self.messages.get_mut(at)) {
                        mark(message, *cache);
                    }
                }
                CachePlace::Tools => {
                    if let Some(Tool::Function { cache: of_last, .. }) = self.tools.last_mut() {
                        of_last.get_or_insert(*cache);
                    }
                }
            }
        }
    }
}

fn mark(message: &mut Message, cache: Cache) {
    if let Some(last) = message.parts.last_mut() {
        last.cache.get_or_insert(cache);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;

    #[test]
    fn points_are_set_by_role_and_number_and_not_over_the_clients_own() {
        let mut chat = Chat::new(Dialect::OpenAi);
        for role in [Role::System, Role::User, Role::Assistant, Role::User] {
            chat.messages.push(Message::of_text(role, "words"));
        }
        chat.messages[1].parts[0].cache = Some(Cache::Hour);
        let point = |at| CachePoint { at, cache: Cache::Short };
        let places = [
            CachePlace::Role(Role::System),
            CachePlace::Message(1),
            CachePlace::Message(-1),
            CachePlace::Message(9),
            CachePlace::Message(-9),
            CachePlace::Tools,
        ];
        chat.mark(&places.map(point));
        let marks: Vec<_> = chat.messages.iter().map(|message| message.parts[0].cache).collect();
        assert_eq!(marks, [Some(Cache::Short), Some(Cache::Hour), None, Some(Cache::Short)]);
    }
}
