//! What users have that others do not.

/// Whether a text can be a user's address: something at something, without spaces.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    text.rsplit_once('@').is_some_and(|(who, place)| is_part(who) && is_part(place))
}
