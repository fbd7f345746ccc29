//! Ids of what providers keep for clients: responses, conversations, files, batches, jobs. An id
//! names its deployment and its owner under a seal, so that any node knows where to ask without
//! having been told, and nobody can use what is not theirs.
//!
//! `resp_dn1` + base64url(nonce, XChaCha20-Poly1305 of kind, owner, deployment and the provider's
//! id). The nonce is derived from what is sealed: the same thing always has the same id.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use dunlin_llm::Endpoint;
use dunlin_types::{DeploymentId, KeyDigest, NodeId, Secret, Secrets, UnixMillis};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const NONCE_LEN: usize = 24;
/// As much of a key's digest as makes sure that no two keys agree in it.
const OWNER_LEN: usize = 16;
/// Behind the prefix of the kind; the number is the version of the form.
const MARK: &str = "dn1";
/// A longer text is no id of ours: providers' own ids are below 100 bytes.
const MAX_ID_LEN: usize = 2048;
/// How a home begins: a deployment's name by the 32 bytes of a hash, or as a text with its length;
/// two nodes and a time.
const HASHED: u8 = 0;
const NAMED: u8 = 1;
const NODES: u8 = 2;

/// What an id is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Response,
    File,
    Batch,
    /// A batch of Anthropic's.
    MessageBatch,
    /// A model that is being tuned.
    Job,
    /// A conversation whose sound passes by the gateway.
    Call,
    /// Turns that are kept together.
    Conversation,
    /// A message of Anthropic's from which a thread goes on.
    Message,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Response => "resp_",
            Self::File => "file-",
            Self::Batch => "batch_",
            Self::MessageBatch => "msgbatch_",
            Self::Job => "ftjob-",
            Self::Call => "rtc_",
            Self::Conversation => "conv_",
            Self::Message => "msg_",
        }
    }

    fn tag(self) -> u8 {
        match self {
            Self::Response => 1,
            Self::File => 2,
            Self::Batch => 3,
            Self::Job => 4,
            Self::Call => 5,
            Self::Conversation => 6,
            Self::MessageBatch => 7,
            Self::Message => 8,
        }
    }

    /// The path of all of them, below a provider's base.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::Response => "responses",
            Self::File => "files",
            Self::Batch => "batches",
            Self::MessageBatch => "messages/batches",
            Self::Job => "fine_tuning/jobs",
            Self::Call => "realtime/calls",
            Self::Conversation => "conversations",
            Self::Message => "messages",
        }
    }

    /// In whose words calls about it are answered.
    pub(crate) fn endpoint(self) -> Endpoint {
        let is_message = matches!(self, Self::MessageBatch | Self::Message);
        if is_message { Endpoint::Messages } else { Endpoint::Responses }
    }

    /// What messages call it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::File => "file",
            Self::Batch => "batch",
            Self::MessageBatch => "message batch",
            Self::Job => "fine-tuning job",
            Self::Call => "call",
            Self::Conversation => "conversation",
            Self::Message => "message",
        }
    }
}

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Master,
    Key([u8; OWNER_LEN]),
}

impl Owner {
    pub(crate) fn of(key: Option<&KeyDigest>) -> Self {
        match key {
            None => Self::Master,
            Some(digest) => {
                let whole = digest.as_bytes();
                Self::Key(*whole.first_chunk().expect("a digest is longer"))
            }
        }
    }
}

/// What an id says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) kind: Kind,
    pub(crate) owner: Owner,
    pub(crate) home: Home,
    /// The provider's id of it; where nodes store it, that of the request that made it.
    pub(crate) upstream: String,
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// At the provider of that deployment.
    Deployment(DeploymentId),
    /// Stored by nodes of this cluster.
    Nodes {
        holders: [NodeId; 2],
        /// When it was made.
        made: UnixMillis,
    },
}

impl Kept {
    /// The deployment whose provider has it.
    pub(crate) fn deployment(&self) -> Option<&DeploymentId> {
        match &self.home {
            Home::Deployment(deployment) => Some(deployment),
            Home::Nodes { .. } => None,
        }
    }
}

/// Why an id says nothing to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadId {
    #[error("the id was not made by this gateway")]
    NotOurs,
    #[error("the id is damaged, or from another cluster")]
    Damaged,
    #[error("the id does not belong to this key")]
    Foreign,
}

/// Seals and opens ids. Cheap to clone.
#[derive(Clone)]
pub struct Ids(Arc<Shared>);

struct Shared {
    secrets: Secrets,
    /// In the order of [`Secrets::all`].
    keys: Vec<Keys>,
}

struct Keys {
    cipher: XChaCha20Poly1305,
    nonces: Hkdf<Sha256>,
}

impl Keys {
    fn new(secret: &Secret) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
        let derive = |label: &[u8]| {
            let mut key = [0; 32];
            hkdf.expand(label, &mut key).expect("32 bytes is a valid HKDF-SHA256 length");
            key
        };
        let cipher = XChaCha20Poly1305::new(&derive(b"dunlin id seal 1").into());
        let nonces = Hkdf::from_prk(&derive(b"dunlin id nonce 1")).expect("as long as a hash");
        Self { cipher, nonces }
    }
}

impl Ids {
    /// The ids of the cluster that has these secrets.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        let keys = secrets.all().map(Keys::new).collect();
        Self(Arc::new(Shared { secrets: secrets.clone(), keys }))
    }

    /// The id by which the client knows `kept`.
    pub(crate) fn seal(&self, kept: &Kept) -> String {
        self.sealed(kept.kind.prefix(), &write(kept))
    }

    /// What an id of this kind says to `caller`. The master key may use every id.
    pub(crate) fn open(&self, kind: Kind, id: &str, caller: Owner) -> Result<Kept, BadId> {
        let kept = read(kind, &self.opened(kind.prefix(), id)?).ok_or(BadId::Damaged)?;
        if caller != Owner::Master && caller != kept.owner {
            return Err(BadId::Foreign);
        }
        Ok(kept)
    }

    /// A text that begins with `prefix`, from which only nodes of this cluster read `plain`. The first
    /// byte of `plain` says what it is.
    pub(crate) fn sealed(&self, prefix: &str, plain: &[u8]) -> String {
        let keys = &self.0.keys[self.0.secrets.sealing()];
        let mut sealed = vec![0; NONCE_LEN];
        keys.nonces.expand(plain, &mut sealed).expect("24 bytes is a valid length");
        let nonce: [u8; NONCE_LEN] = *sealed.first_chunk().expect("as long as it was made");
        let body = keys.cipher.encrypt(&XNonce::from(nonce), plain);
        sealed.extend(body.expect("an id is far below the cipher's length bound"));
        format!("{prefix}{MARK}{}", URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What [`Self::sealed`] has made `text` of.
    pub(crate) fn opened(&self, prefix: &str, text: &str) -> Result<Vec<u8>, BadId> {
        let sealed = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(MARK));
        let sealed = sealed.filter(|_| text.len() <= MAX_ID_LEN).ok_or(BadId::NotOurs)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| BadId::Damaged)?;
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(BadId::Damaged)?;
        let nonce = XNonce::from(*nonce);
        let opened = self.0.keys.iter().filter_map(|keys| keys.cipher.decrypt(&nonce, body).ok());
        { opened }.next().ok_or(BadId::Damaged)
    }
}

fn write(kept: &Kept) -> Vec<u8> {
    let mut plain = vec![kept.kind.tag()];
    match &kept.owner {
        Owner::Master => plain.push(0),
        Owner::Key(digest) => {
            plain.push(1);
            plain.extend_from_slice(digest);
        }
    }
    match &kept.home {
        Home::Deployment(DeploymentId(name)) => write_name(&mut plain, name),
        Home::Nodes { holders, made } => {
            plain.push(NODES);
            let numbers = holders.map(|node| node.0).into_iter().chain([made.0]);
            numbers.for_each(|number| plain.extend_from_slice(&number.to_be_bytes()));
        }
    }
    plain.extend_from_slice(kept.upstream.as_bytes());
    plain
}

fn write_name(plain: &mut Vec<u8>, name: &str) {
    match hash_of(name) {
        Some(hash) => {
            plain.push(HASHED);
            plain.extend_from_slice(&hash);
        }
        None => {
            plain.push(NAMED);
            let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
            plain.extend_from_slice(&length.to_be_bytes());
            plain.extend_from_slice(&name.as_bytes()[..usize::from(length)]);
        }
    }
}

/// Most deployments are named by a hash, which is half as long in bytes.
fn hash_of(name: &str) -> Option<[u8; 32]> {
    let digest: KeyDigest = name.parse().ok()?;
    (digest.to_string() == name).then(|| *digest.as_bytes())
}

fn read(kind: Kind, plain: &[u8]) -> Option<Kept> {
    let (&tag, rest) = plain.split_first()?;
    let (&owner, rest) = rest.split_first()?;
    let (owner, rest) = match owner {
        0 => (Owner::Master, rest),
        1 => {
            let (digest, rest) = rest.split_first_chunk::<OWNER_LEN>()?;
            (Owner::Key(*digest), rest)
        }
        _ => return None,
    };
    let (home, rest) = read_home(rest)?;
    let upstream = String::from_utf8(rest.to_vec()).ok()?;
    (tag == kind.tag()).then_some(Kept { kind, owner, home, upstream })
}

fn read_home(plain: &[u8]) -> Option<(Home, &[u8])> {
    let (&form, rest) = plain.split_first()?;
    let (deployment, rest) = match form {
        HASHED => {
            let (hash, rest) = rest.split_first_chunk::<32>()?;
            (hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), rest)
        }
        NAMED => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let (name, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            (String::from_utf8(name.to_vec()).ok()?, rest)
        }
        NODES => {
            let number = |rest: &[u8]| Some(u64::from_be_bytes(*rest.first_chunk()?));
            let holders = [NodeId(number(rest)?), NodeId(number(rest.get(8..)?)?)];
            let made = UnixMillis(number(rest.get(16..)?)?);
            return Some((Home::Nodes { holders, made }, rest.get(24..)?));
        }
        _ => return None,
    };
    Some((Home::Deployment(DeploymentId(deployment.into())), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        Ids::new(&Secret::new("a secret of the cluster").into())
    }

    fn all() -> Vec<Kept> {
        let key = KeyDigest::of("sk-1");
        let hash = KeyDigest::of("a deployment").to_string();
        let mut all = Vec::new();
        let first = [Kind::Response, Kind::File, Kind::Batch, Kind::MessageBatch];
        for kind in first.into_iter().chain([Kind::Job, Kind::Call, Kind::Conversation]) {
            for owner in [Owner::Master, Owner::of(Some(&key))] {
                let names = [hash.as_str(), "my-own-id", "", &hash.to_uppercase()];
                let named = names.map(|name| Home::Deployment(DeploymentId(name.into())));
                let made = UnixMillis(1_700_000_000_000);
                let nodes = Home::Nodes { holders: [NodeId(7), NodeId(u64::MAX)], made };
                for home in named.into_iter().chain([nodes]) {
                    for upstream in ["resp_0123456789abcdef", "", "é \" \\"] {
                        let (home, upstream) = (home.clone(), upstream.to_owned());
                        all.push(Kept { kind, owner, home, upstream });
                    }
                }
            }
        }
        all
    }

    #[test]
    fn what_was_sealed_is_opened_everywhere_by_its_owner_and_the_master_only() {
        let (here, there) = (ids(), ids());
        let stranger = Owner::of(Some(&KeyDigest::of("sk-2")));
        for kept in all() {
            let id = here.seal(&kept);
            assert_eq!(id, there.seal(&kept), "the same thing has the same id");
            assert!(id.starts_with(kept.kind.prefix()) && id.len() < 300, "{id}");
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            assert!(id.bytes().all(plain), "it goes into paths as it is: {id}");
            assert_eq!(there.open(kept.kind, &id, kept.owner).as_ref(), Ok(&kept));
            assert_eq!(there.open(kept.kind, &id, Owner::Master).as_ref(), Ok(&kept));
            assert_eq!(there.open(kept.kind, &id, stranger), Err(BadId::Foreign));
        }
    }

    #[test]
    fn an_id_is_good_as_long_as_the_secret_that_sealed_it_is_known() {
        let kept = all().swap_remove(13);
        let of = |current: &str, previous: Option<&str>| {
            let secrets = Secrets::new(Secret::new(current), previous.map(Secret::new));
            (Ids::new(&secrets), secrets)
        };
        let ((old, _), (both, secrets), (new, _)) =
            (of("old", None), of("new", Some("old")), of("new", None));
        let opens = |ids: &Ids, id: &str| ids.open(kept.kind, id, Owner::Master).is_ok();
        assert!(opens(&both, &old.seal(&kept)) && opens(&old, &both.seal(&kept)));
        secrets.turn(true);
        assert!(opens(&both, &new.seal(&kept)) && opens(&new, &both.seal(&kept)));
        assert!(opens(&both, &old.seal(&kept)) && !opens(&new, &old.seal(&kept)));
    }

    #[test]
    fn one_changed_bit_or_another_secret_or_kind_opens_nothing() {
        let kept = all().swap_remove(13);
        let id = ids().seal(&kept);
        let head = kept.kind.prefix().len() + MARK.len();
        let sealed = URL_SAFE_NO_PAD.decode(&id[head..]).expect("it was made so");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let id = format!("{}{}", &id[..head], URL_SAFE_NO_PAD.encode(flipped));
            assert_eq!(ids().open(kept.kind, &id, Owner::Master), Err(BadId::Damaged), "bit {bit}");
        }
        let others = Ids::new(&Secret::new("a secret of another cluster").into());
        assert_eq!(others.open(kept.kind, &id, Owner::Master), Err(BadId::Damaged));
        let as_file = id.replacen(kept.kind.prefix(), Kind::File.prefix(), 1);
        assert_eq!(ids().open(Kind::File, &as_file, Owner::Master), Err(BadId::Damaged));
        let ours = ["resp_dn1", "resp_dn1!!", &id[..id.len() - 1]];
        for id in ours {
            assert_eq!(ids().open(kept.kind, id, Owner::Master), Err(BadId::Damaged), "{id}");
        }
        for id in ["resp_68a0", "", "file-dn1x", &format!("resp_dn1{}", "A".repeat(3000))] {
            assert_eq!(ids().open(kept.kind, id, Owner::Master), Err(BadId::NotOurs), "{id}");
        }
    }
}
