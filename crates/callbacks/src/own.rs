//! The callbacks of a key or a team: `metadata.logging`, as clients write it, as the state keeps it,
//! and as it is shown. In the state each value that may be a secret is sealed.

use std::collections::BTreeMap;

use dunlin_config::{CallbackKind, MAX_CALLBACKS, Outcomes, Receiver, nearest_callback};
use dunlin_seal::Sealer;
use serde_json::{Value, json};

/// What a sealed value begins with; its bytes follow in hex.
const SEALED: &str = "sealed:";
/// What a value is shown as that is a secret.
const MASKED: &str = "***";
/// As long as a variable may be.
const MAX_VALUE_BYTES: usize = 4 << 10;
/// References to the nodes' environment; they are none in what comes over the API.
const REFERENCE: &str = "os.environ/";

/// A callback of a key or a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCallback {
    /// What it sends to.
    pub kind: CallbackKind,
    /// LiteLLM's word for the requests that it is told of.
    pub on: String,
    /// Where and how; none: as the config has it.
    pub variables: BTreeMap<String, String>,
}

impl OwnCallback {
    /// Of which requests it is told.
    #[must_use]
    pub fn outcomes(&self) -> Outcomes {
        Outcomes::named(&self.on).unwrap_or(Outcomes { success: true, failure: true })
    }

    /// Reads one as a client writes it.
    ///
    /// # Errors
    /// What is wrong, for the client. No value is in it.
    pub fn read(value: &Value) -> Result<Self, String> {
        let Value::Object(entry) = value else {
            return Err("each callback is an object with a `callback_name`".to_owned());
        };
        let text = |name: &str| entry.get(name).filter(|value| !value.is_null());
        let name = text("callback_name").and_then(Value::as_str);
        let name = name.ok_or("`callback_name` is missing: it is a text such as `langfuse`")?;
        let kind = CallbackKind::named(name).ok_or_else(|| unknown(name))?;
        let on = match text("callback_type") {
            None => "success_and_failure",
            Some(word) => word
                .as_str()
                .filter(|word| Outcomes::named(word).is_some())
                .ok_or("`callback_type` is one of success, failure, success_and_failure")?,
        };
        let fields = ["callback_name", "callback_type", "callback_vars"];
        if let Some(other) = entry.keys().find(|name| !fields.contains(&name.as_str())) {
            return Err(format!("`{other}` is none of {}", fields.join(", ")));
        }
        let variables = match text("callback_vars") {
            None => BTreeMap::new(),
            Some(Value::Object(variables)) => variables
                .iter()
                .map(|(name, value)| Ok((name.clone(), variable(name, value)?)))
                .collect::<Result<_, String>>()?,
            Some(_) => return Err("`callback_vars` is an object of texts".to_owned()),
        };
        Ok(Self { kind, on: on.to_owned(), variables })
    }

    /// Reads a list, as `metadata.logging` has it. What is shown as `***` is what it was in
    /// `before`, the list as the state keeps it.
    ///
    /// # Errors
    /// What is wrong, for the client.
    pub fn read_all(
        value: &Value,
        before: Option<&str>,
        sealer: &Sealer,
    ) -> Result<Vec<Self>, String> {
        let Value::Array(items) = value else {
            return Err("`logging` is a list of callbacks".to_owned());
        };
        if items.len() > MAX_CALLBACKS {
            return Err(format!("`logging` has more than {MAX_CALLBACKS} callbacks"));
        }
        let before = before.map(|text| Self::opened(text, sealer)).unwrap_or_default();
        let read = items.iter().map(|item| {
            let mut read = Self::read(item)?;
            read.fill(&before)?;
            read.check()?;
            Ok(read)
        });
        read.collect()
    }

    /// Puts back what its client was shown as `***`.
    fn fill(&mut self, before: &[Self]) -> Result<(), String> {
        let same = |known: &&Self| known.kind == self.kind && known.on == self.on;
        let former =
            before.iter().find(same).or(before.iter().find(|known| known.kind == self.kind));
        // A secret goes nowhere but where it went before.
        let place = |of: &Self| {
            let plain = of.variables.iter().filter(|(name, _)| !is_secret(of.kind, name));
            plain
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect::<Vec<_>>()
        };
        let moved = former.is_some_and(|former| place(former) != place(self));
        for (name, value) in self.variables.iter_mut().filter(|(_, value)| *value == MASKED) {
            let known = former.and_then(|former| former.variables.get(name));
            *value = known.filter(|_| !moved).cloned().ok_or_else(|| {
                format!(
                    "`{name}` is `{MASKED}`, which is how secrets are shown: send the secret itself"
                )
            })?;
        }
        Ok(())
    }

    /// What its own variables describe; none: it has none, or they cannot be used.
    pub(crate) fn receiver(&self) -> Option<Receiver> {
        if self.variables.is_empty() {
            return None;
        }
        self.kind.receiver_of(&self.variables).ok()
    }

    /// Whether something could be sent to it.
    ///
    /// # Errors
    /// A variable is missing, unknown or cannot be used.
    pub fn check(&self) -> Result<(), String> {
        if self.variables.is_empty() {
            return Ok(());
        }
        let receiver = self.kind.receiver_of(&self.variables);
        receiver.map(drop).map_err(|bad| format!("callback `{}`: {bad}", self.kind.name()))
    }

    /// A list as the state keeps it.
    #[must_use]
    pub fn sealed(all: &[Self], sealer: &Sealer) -> String {
        let seal = |plain: &str| format!("{SEALED}{}", hex::encode(sealer.seal(plain.as_bytes())));
        Value::Array(all.iter().map(|own| own.told(seal)).collect()).to_string()
    }

    /// A list as a client would write it, its secrets in clear.
    #[must_use]
    pub fn plain(all: &[Self]) -> String {
        Value::Array(all.iter().map(|own| own.told(str::to_owned)).collect()).to_string()
    }

    /// A list of the state as it is shown.
    #[must_use]
    pub fn shown(text: &str) -> Value {
        let mut list: Value = serde_json::from_str(text).unwrap_or_default();
        each_value(&mut list, &mut |value| {
            if value.starts_with(SEALED) {
                MASKED.clone_into(value);
            }
        });
        list
    }

    /// A list of the state, opened. One that cannot be opened on this node has no secrets.
    #[must_use]
    pub fn opened(text: &str, sealer: &Sealer) -> Vec<Self> {
        let mut list: Value = serde_json::from_str(text).unwrap_or_default();
        each_value(&mut list, &mut |value| {
            if let Some(sealed) = value.strip_prefix(SEALED) {
                let plain = hex::decode(sealed).ok().and_then(|bytes| sealer.open(&bytes).ok());
                *value = plain.and_then(|plain| String::from_utf8(plain).ok()).unwrap_or_default();
            }
        });
        list.as_array().into_iter().flatten().filter_map(|item| Self::read(item).ok()).collect()
    }

    /// A list of the state under the secret that stays; `None` if it is already, or has no secrets.
    #[must_use]
    pub fn resealed(text: &str, sealer: &Sealer) -> Option<String> {
        let mut list: Value = serde_json::from_str(text).ok()?;
        let mut changed = false;
        each_value(&mut list, &mut |value| {
            let sealed = value.strip_prefix(SEALED).and_then(|sealed| hex::decode(sealed).ok());
            let old = sealed.filter(|sealed| !sealer.is_current(sealed));
            if let Some(plain) = old.and_then(|sealed| sealer.open(&sealed).ok()) {
                *value = format!("{SEALED}{}", hex::encode(sealer.seal_anew(&plain)));
                changed = true;
            }
        });
        changed.then(|| list.to_string())
    }

    fn told(&self, secret: impl Fn(&str) -> String) -> Value {
        let variables = self.variables.iter().map(|(name, value)| {
            let is_secret = is_secret(self.kind, name) || may_hold_secret(value);
            let value = if is_secret { secret(value) } else { value.clone() };
            (name.clone(), Value::from(value))
        });
        json!({
            "callback_name": self.kind.name(),
            "callback_type": self.on,
            "callback_vars": variables.collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// Calls `change` on the value of each variable of a list.
fn each_value(list: &mut Value, change: &mut dyn FnMut(&mut String)) {
    for entry in list.as_array_mut().into_iter().flatten() {
        let variables = entry.get_mut("callback_vars").and_then(Value::as_object_mut);
        for (_, value) in variables.into_iter().flatten() {
            if let Value::String(text) = value {
                change(text);
            }
        }
    }
}

/// Whether a variable is shown to nobody. One that its receiver does not have is none.
fn is_secret(kind: CallbackKind, name: &str) -> bool {
    let known = kind.variables().iter().find(|known| known.name.eq_ignore_ascii_case(name));
    known.is_none_or(|known| known.secret)
}

/// Whether a value is an address with a login or a query in it.
fn may_hold_secret(value: &str) -> bool {
    value.contains("://") && value.contains(['@', '?'])
}

fn variable(name: &str, value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| format!("`{name}` is not a text"))?;
    // Also within a list of headers, `name=os.environ/X`.
    if text.contains(REFERENCE) {
        return Err(format!(
            "`{name}` refers to the environment of the nodes, which callbacks set over the API may \
             not use: send the value, or leave out `callback_vars` to use the config's"
        ));
    }
    if text.starts_with(SEALED) || text.len() > MAX_VALUE_BYTES {
        return Err(format!(
            "`{name}` is not a valid value: it must be a text of at most {MAX_VALUE_BYTES} bytes"
        ));
    }
    Ok(text.to_owned())
}

fn unknown(name: &str) -> String {
    let near = nearest_callback(name).map(|near| format!("did you mean `{near}`? "));
    let served = CallbackKind::ALL.map(CallbackKind::name).join(", ");
    format!(
        "this version cannot send to a callback `{name}`: {}served are {served}; `generic_api` \
         posts every record as JSON to any address",
        near.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use dunlin_types::{Secret, Secrets};

    use super::*;

    fn sealer(secret: &str, previous: Option<&str>) -> Sealer {
        Sealer::new(&Secrets::new(Secret::new(secret), previous.map(Secret::new)))
    }

    fn langfuse(host: &str, secret: &str) -> Value {
        json!([{"callback_name": "langfuse", "callback_type": "success", "callback_vars": {
            "langfuse_host": host, "langfuse_public_key": "pk-1", "langfuse_secret_key": secret}}])
    }

    #[test]
    fn secrets_are_sealed_in_the_state_and_masked_for_people() {
        let sealer = sealer("a secret", None);
        let read =
            |value: &Value, before: Option<&str>| OwnCallback::read_all(value, before, &sealer);
        let host = "https://l.example";
        let kept =
            OwnCallback::sealed(&read(&langfuse(host, "xyzzy"), None).expect("read"), &sealer);
        assert!(!kept.contains("xyzzy") && kept.contains(host), "{kept}");
        let shown = OwnCallback::shown(&kept);
        assert_eq!(shown, langfuse(host, "***"));
        let opened = OwnCallback::opened(&kept, &sealer);
        assert_eq!(opened[0].variables["langfuse_secret_key"], "xyzzy");
        let again = read(&shown, Some(&kept)).expect("what is shown can be sent back");
        assert_eq!(again, opened);
        let told = read(&langfuse("https://thief.example", "***"), Some(&kept)).expect_err("moved");
        assert!(told.contains("send the secret itself"), "{told}");
        assert!(read(&langfuse(host, "***"), None).is_err(), "there was none before");
    }

    #[test]
    fn an_address_that_holds_a_secret_is_one() {
        let sealer = sealer("a secret", None);
        for (address, is_secret) in [
            ("https://l.example/in?token=xyzzy", true),
            ("https://me:xyzzy@l.example", true),
            ("https://l.example/in", false),
        ] {
            let list = json!([{"callback_name": "generic_api",
                "callback_vars": {"generic_logger_endpoint": address}}]);
            let read = OwnCallback::read_all(&list, None, &sealer).expect("read");
            let kept = OwnCallback::sealed(&read, &sealer);
            assert_eq!(kept.contains(address), !is_secret, "{kept}");
            assert_eq!(OwnCallback::opened(&kept, &sealer), read);
        }
    }

    #[test]
    fn another_cluster_secret_seals_them_anew() {
        let (old, both, new) =
            (sealer("old", None), sealer("new", Some("old")), sealer("new", None));
        let read = OwnCallback::read_all(&langfuse("https://l.example", "xyzzy"), None, &old);
        let kept = OwnCallback::sealed(&read.expect("read"), &old);
        let anew = OwnCallback::resealed(&kept, &both).expect("it was under the old one");
        assert_eq!(OwnCallback::opened(&anew, &new)[0].variables["langfuse_secret_key"], "xyzzy");
        assert_eq!(OwnCallback::resealed(&anew, &both), None);
        assert_eq!(OwnCallback::opened(&kept, &new)[0].variables["langfuse_secret_key"], "");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        let sealer = sealer("a secret", None);
        let with = |vars: Value| json!([{"callback_name": "langfuse", "callback_vars": vars}]);
        for (value, words) in [
            (json!({}), "is a list"),
            (json!([{"callback_type": "success"}]), "`callback_name` is missing"),
            (json!([{"callback_name": "langfus"}]), "did you mean `langfuse`?"),
            (json!([{"callback_name": "datadog"}]), "served are generic_api, langfuse, otel"),
            (json!([{"callback_name": "otel", "callback_type": "some"}]), "one of success"),
            (json!([{"callback_name": "otel", "vars": {}}]), "`vars` is none of"),
            (
                with(json!({"langfuse_secret_key": "os.environ/X"})),
                "callbacks set over the API may not use",
            ),
            (
                json!([{"callback_name": "otel", "callback_vars":
                    {"otel_headers": "authorization=os.environ/X"}}]),
                "callbacks set over the API may not use",
            ),
            (with(json!({"langfuse_secret_key": 1})), "is not a text"),
            (with(json!({"langfuse_secret_key": "xyzzy"})), "langfuse_public_key is not set"),
            (with(json!({"langfuse_secrt_key": "xyzzy"})), "did you mean `langfuse_secret_key`?"),
            (Value::Array(vec![json!({"callback_name": "otel"}); 17]), "more than 16"),
        ] {
            let told = OwnCallback::read_all(&value, None, &sealer).expect_err("it is wrong");
            assert!(told.contains(words) && !told.contains("xyzzy"), "{value}: {told}");
        }
        let bare = json!([{"callback_name": "otel"}]);
        assert!(OwnCallback::read_all(&bare, None, &sealer).is_ok(), "as the config has it");
    }
}
