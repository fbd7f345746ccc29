//! What a request says of things that a provider keeps, and what an answer says of them: ids are
//! opened on the way in and sealed on the way out, and a request goes where its things are.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use dunlin_llm::batch::passed::Shelf;
use dunlin_llm::{
    BadRequest, ChatRequest, Dialect, Endpoint, Place, rename_ids, rename_ids_in_frame, responses,
};
pub(crate) use dunlin_router::is_beside;
use dunlin_router::{Candidates, Catalog, Deployment, Group};
use dunlin_types::DeploymentId;
use memchr::memmem::Finder;

use crate::Proxy;
use crate::ids::{BadId, Home, Ids, Kept, Kind, Owner};
use crate::request::caller::Caller;
use crate::response::error::Refused;
use crate::turns::{Opening, Stored};

/// The items that one request names may be of so many responses, each of which is read.
const MAX_NAMED: usize = 128;
/// Where a response is named before this one.
const PREVIOUS: &Place = &["previous_response_id"];
/// Where the conversation is named that a response belongs to: a text, or an object.
const CONVERSATION: &[&Place] = &[&["conversation"], &["conversation", "id"]];
/// Where the message is named that a thread of Anthropic's goes on from.
const THREAD: &Place = &["thread", "previous_message_id"];
/// Where requests name files.
const FILES: &[&Place] = &[
    &["input", "*", "content", "*", "file_id"],
    &["input", "*", "output", "*", "file_id"],
    &["messages", "*", "content", "*", "file", "file_id"],
    &["tools", "*", "container", "file_ids", "*"],
];
const MODEL: &[&Place] = &[&["model"]];
/// Where a batch names files.
const BATCH_FILES: &[&Place] = &[&["input_file_id"], &["output_file_id"], &["error_file_id"]];
/// Where a job names files.
const JOB_FILES: &[&Place] = &[&["training_file"], &["validation_file"], &["result_files", "*"]];
/// Where a response object names responses, and where an event does.
const RESPONSE: &[&Place] = &[&["id"], PREVIOUS];
const EVENT: &[&Place] = &[&["response", "id"], &["response", "previous_response_id"]];
/// Where a message is named by itself, and where an event names it.
const MESSAGE: &[&Place] = &[&["id"]];
const MESSAGE_OF_EVENT: &[&Place] = &[&["message", "id"]];
const CONVERSATION_OF_EVENT: &[&Place] = &[&["response", "conversation", "id"]];

/// A body whose ids are the provider's.
pub(crate) struct OpenedBody {
    pub(crate) body: Bytes,
    /// Where its things are.
    at: Option<DeploymentId>,
    /// An id of a response or conversation that says nothing to this caller, left as it was.
    unknown: Option<(Kind, String, BadId)>,
    /// Whether it goes on with a thread of the caller's.
    continues: bool,
    /// What it is in a conversation.
    pub(crate) opening: Opening,
}

impl OpenedBody {
    /// Opens the ids in a body, and puts what was said before it in, where that is stored here; then
    /// the body has `most` bytes at most. A file's id that is not ours is left to the provider.
    pub(crate) async fn of(
        proxy: &Proxy,
        endpoint: Endpoint,
        caller: &Caller,
        (body, most): (Bytes, usize),
    ) -> Result<Self, Refused> {
        let (ids, owner) = (&proxy.0.ids, caller.owner());
        let opening = Opening::default();
        let mut opened = Self { body, at: None, unknown: None, continues: false, opening };
        if endpoint == Endpoint::Responses {
            opened.fill_references(proxy, owner, most).await?;
            let before = opened.open_previous(ids, owner);
            opened.opening = match before {
                Some(before) => Box::pin(Opening::next(proxy, before, &opened.body, most)).await?,
                None => Opening::first(opened.body.clone()),
            };
            opened.body = opened.opening.whole().clone();
            opened.open_conversation(ids, owner)?;
        }
        if endpoint.dialect() == Dialect::Anthropic {
            opened.open_thread(endpoint, ids, owner)?;
        }
        if endpoint.is_chat() {
            opened.open_files(ids, owner)?;
        }
        Ok(opened)
    }

    /// Items that the request names instead of repeating them are put in, of the caller's responses
    /// that are stored here.
    async fn fill_references(
        &mut self,
        proxy: &Proxy,
        owner: Owner,
        most: usize,
    ) -> Result<(), Refused> {
        static SAID: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"item_reference\""));
        if SAID.find(&self.body).is_none() {
            return Ok(());
        }
        let named = responses::named_responses(&self.body);
        if named.len() > MAX_NAMED {
            return Err(Refused::too_many_named(named.len(), MAX_NAMED));
        }
        let mut found = BTreeMap::new();
        for id in named {
            let kept = proxy.0.ids.open(Kind::Response, &id, owner);
            let kept = kept.map_err(|bad| Refused::no_such(Kind::Response, &id, bad))?;
            let Some(stored) = Stored::of(&kept) else { continue };
            let turn = Box::pin(stored.read(proxy, &id)).await?;
            found.extend(responses::named_items(&self.body, &turn));
        }
        self.body = responses::with_items(&self.body, &found).map_err(Refused::BadRequest)?;
        if self.body.len() > most {
            return Err(Refused::TooLarge { most });
        }
        Ok(())
    }

    /// The id of the response before this one becomes its provider's. One that is stored here comes
    /// back instead, and stays as it was.
    fn open_previous(&mut self, ids: &Ids, owner: Owner) -> Option<(String, Stored)> {
        let mut before = None;
        let (at, unknown) = (&mut self.at, &mut self.unknown);
        let Ok(body) = rename_ids(&self.body, &[PREVIOUS], &mut |id: &str| {
            let opened = ids.open(Kind::Response, id, owner);
            Ok::<_, Infallible>(match opened {
                Ok(kept) => {
                    before = Stored::of(&kept).map(|stored| (id.to_owned(), stored));
                    match kept.home {
                        Home::Deployment(deployment) => {
                            *at = Some(deployment);
                            Some(kept.upstream)
                        }
                        Home::Nodes { .. } => None,
                    }
                }
                Err(bad) => {
                    *unknown = Some((Kind::Response, id.to_owned(), bad));
                    None
                }
            })
        });
        self.body = body;
        before
    }

    /// The id of the conversation becomes its provider's.
    fn open_conversation(&mut self, ids: &Ids, owner: Owner) -> Result<(), Refused> {
        static SAID: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"conversation\""));
        if SAID.find(&self.body).is_none() {
            return Ok(());
        }
        let Self { at, unknown, opening, .. } = self;
        let kind = Kind::Conversation;
        let mut rename = |id: &str| match ids.open(kind, id, owner) {
            Ok(kept) => {
                let Some(there) = kept.deployment() else { return Ok(None) };
                if at.get_or_insert_with(|| there.clone()) != there {
                    return Err(Refused::apart(kind, id));
                }
                opening.belongs_to(kept.upstream.clone(), there.clone());
                Ok(Some(kept.upstream))
            }
            Err(bad) => {
                *unknown = Some((kind, id.to_owned(), bad));
                Ok(None)
            }
        };
        let body = rename_ids(&self.body, &CONVERSATION[..1], &mut rename)?;
        self.body = rename_ids(&body, &CONVERSATION[1..], &mut rename)?;
        Ok(())
    }

    /// The message that a thread goes on from becomes its provider's. Whose it is not is told what
    /// makes clients begin anew, with all that was said.
    fn open_thread(&mut self, of: Endpoint, ids: &Ids, owner: Owner) -> Result<(), Refused> {
        static SAID: LazyLock<Finder<'_>> =
            LazyLock::new(|| Finder::new(b"\"previous_message_id\""));
        if SAID.find(&self.body).is_none() {
            return Ok(());
        }
        let at = &mut self.at;
        self.body = rename_ids(&self.body, &[THREAD], &mut |id: &str| {
            let kept = ids.open(Kind::Message, id, owner).map_err(|_| no_thread(of))?;
            *at = kept.deployment().cloned();
            Ok::<_, Refused>(Some(kept.upstream))
        })?;
        self.continues = at.is_some();
        Ok(())
    }

    /// Refuses a thread that was not opened: it is named in a spelling that was passed over.
    pub(crate) fn check_thread(&self, chat: &ChatRequest) -> Result<(), Refused> {
        let is_open = self.continues || !chat.continues_thread();
        if is_open { Ok(()) } else { Err(no_thread(chat.endpoint())) }
    }

    fn open_files(&mut self, ids: &Ids, owner: Owner) -> Result<(), Refused> {
        static OURS: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"file-dn"));
        // Walking through a long conversation is not for nothing.
        if OURS.find(&self.body).is_none() {
            return Ok(());
        }
        let at = &mut self.at;
        self.body =
            rename_ids(&self.body, FILES, &mut |id: &str| match ids.open(Kind::File, id, owner) {
                Ok(kept) => {
                    let Some(there) = kept.deployment() else { return Ok(None) };
                    if at.get_or_insert_with(|| there.clone()) != there {
                        return Err(Refused::apart(Kind::File, id));
                    }
                    Ok(Some(kept.upstream))
                }
                Err(BadId::NotOurs) => Ok(None),
                Err(bad) => Err(Refused::no_such(Kind::File, id, bad)),
            })?;
        Ok(())
    }

    /// Leaves of the candidates only who has what the request names.
    pub(crate) fn pin(&self, catalog: &Catalog, found: &mut Candidates<'_>) -> Result<(), Refused> {
        let pinned = self.pinned(catalog, found);
        // Whoever has the thread cannot be asked: its client begins anew where it asks.
        if self.continues { pinned.map_err(|_| no_thread(Endpoint::Messages)) } else { pinned }
    }

    fn pinned(&self, catalog: &Catalog, found: &mut Candidates<'_>) -> Result<(), Refused> {
        let first = found.first();
        if let Some((kind, id, bad)) = &self.unknown {
            // Where no conversations are kept, their ids are not looked at: that is said later.
            if *kind != Kind::Conversation || keepers(first).is_some() {
                return Err(Refused::no_such(*kind, id, *bad));
            }
        }
        let Some(at) = &self.at else { return Ok(()) };
        let home = find(catalog, at).ok_or(Refused::homeless("response, conversation or file"))?;
        let here = |known: &&Arc<Deployment>| known.id == *at;
        let beside = |known: &&Arc<Deployment>| {
            is_beside(home, known) && keeps_responses(known) == keeps_responses(home)
        };
        let has_it = first.deployments.iter().find(here);
        let has_it = has_it.or_else(|| first.deployments.iter().find(beside));
        let has_it = has_it.ok_or_else(|| Refused::elsewhere(&home.group, &first.name))?;
        let group = Group { name: Arc::clone(&first.name), deployments: vec![Arc::clone(has_it)] };
        found.only(group);
        Ok(())
    }
}

fn no_thread(of: Endpoint) -> Refused {
    Refused::BadRequest(BadRequest::NoSuchThread { route: of.route() })
}

/// The deployment of that id.
pub(crate) fn find<'c>(catalog: &'c Catalog, id: &DeploymentId) -> Option<&'c Arc<Deployment>> {
    let all = catalog.deployments();
    all.into_iter().find(|deployment| deployment.id == *id)
}

/// Those of a group that keep responses; `None`: nobody does.
pub(crate) fn keepers(group: &Group) -> Option<Group> {
    let fit = group.deployments.iter().filter(|known| keeps_responses(known));
    let deployments: Vec<_> = fit.cloned().collect();
    (!deployments.is_empty()).then(|| Group { name: group.name.clone(), deployments })
}

pub(crate) fn keeps_responses(deployment: &Deployment) -> bool {
    let provider = dunlin_providers::find(&deployment.provider);
    provider.is_some_and(|provider| provider.keeps_responses(&deployment.target))
}

/// Seals the ids of what one deployment keeps for one owner.
#[derive(Clone)]
pub(crate) struct Sealing {
    ids: Ids,
    owner: Owner,
    /// What an answer is.
    answers: Kind,
    deployment: DeploymentId,
    /// Where things were made that are not of `deployment`, by the provider's ids of them.
    homes: Arc<BTreeMap<String, DeploymentId>>,
    /// What paths here begin with.
    root_path: Arc<str>,
}

impl Sealing {
    pub(crate) fn new(proxy: &Proxy, owner: Owner, deployment: &Deployment) -> Self {
        let (ids, deployment) = (proxy.0.ids.clone(), deployment.id.clone());
        let (homes, root_path) = (Arc::default(), Arc::clone(&proxy.0.root_path));
        Self { ids, owner, answers: Kind::Response, deployment, homes, root_path }
    }

    /// The same where other deployments of the same account have made some of the things: an id is the
    /// one that making it gave.
    pub(crate) fn with_homes(self, homes: BTreeMap<String, DeploymentId>) -> Self {
        Self { homes: homes.into(), ..self }
    }

    /// The owner of the sealed content.
    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// For what a deployment answers to `chat`, if it keeps that.
    pub(crate) fn of_answer(
        proxy: &Proxy,
        chat: &ChatRequest,
        caller: &Caller,
        deployment: &Deployment,
    ) -> Option<Self> {
        let endpoint = chat.endpoint();
        let answers = if endpoint == Endpoint::Responses && keeps_responses(deployment) {
            Kind::Response
        } else if endpoint == Endpoint::Messages && chat.has_thread() {
            Kind::Message
        } else {
            return None;
        };
        Some(Self { answers, ..Self::new(proxy, caller.owner(), deployment) })
    }

    pub(crate) fn seal(&self, kind: Kind, upstream: &str) -> String {
        let owner = self.owner;
        let deployment = self.homes.get(upstream).unwrap_or(&self.deployment).clone();
        let (home, upstream) = (Home::Deployment(deployment), upstream.to_owned());
        self.ids.seal(&Kept { kind, owner, home, upstream })
    }

    /// What the client calls the answer that its provider calls `upstream`.
    pub(crate) fn answer_id(&self, upstream: &str) -> String {
        self.seal(self.answers, upstream)
    }

    /// An answer with sealed ids.
    pub(crate) fn answer(&self, body: &Bytes) -> Bytes {
        if self.answers == Kind::Message {
            return self.sealed(body, MESSAGE, Kind::Message);
        }
        self.response(body)
    }

    /// A response object with sealed ids.
    fn response(&self, body: &Bytes) -> Bytes {
        let body = self.sealed(body, RESPONSE, Kind::Response);
        if names_conversation(&body) {
            return self.sealed(&body, &CONVERSATION[1..], Kind::Conversation);
        }
        body
    }

    /// An object of `by`'s provider with the ids in it sealed, and its model named as clients know it.
    pub(crate) fn object(&self, body: &Bytes, kind: Kind, by: &Deployment) -> Bytes {
        let body = match kind {
            Kind::Response => {
                let Ok(body) = rename_ids(body, MODEL, &mut |_: &str| {
                    Ok::<_, Infallible>(Some(by.group.to_string()))
                });
                return self.response(&body);
            }
            Kind::Batch => self.sealed(body, BATCH_FILES, Kind::File),
            Kind::MessageBatch => {
                let sealed = self.sealed(body, &[&["id"]], kind);
                return Shelf::of_messages().answered_here(sealed, &self.root_path);
            }
            Kind::Job => {
                let Ok(body) = rename_ids(body, MODEL, &mut |model: &str| {
                    let is_its_own = *model == *by.target.model;
                    Ok::<_, Infallible>(is_its_own.then(|| by.group.to_string()))
                });
                self.sealed(&body, JOB_FILES, Kind::File)
            }
            Kind::File | Kind::Call | Kind::Conversation | Kind::Message => body.clone(),
        };
        self.sealed(&body, &[&["id"]], kind)
    }

    /// `body` with the ids at `places` sealed.
    pub(crate) fn sealed(&self, body: &Bytes, places: &[&Place], kind: Kind) -> Bytes {
        let Ok(body) = rename_ids(body, places, &mut |id: &str| {
            Ok::<_, Infallible>(Some(self.seal(kind, id)))
        });
        body
    }

    /// An event of a stream with the ids of its answer sealed.
    pub(crate) fn event(&self, frame: &Bytes) -> Bytes {
        let places = if self.answers == Kind::Message { MESSAGE_OF_EVENT } else { EVENT };
        let Ok(frame) = rename_ids_in_frame(frame, places, &mut |id: &str| {
            Ok::<_, Infallible>(Some(self.answer_id(id)))
        });
        if !names_conversation(&frame) {
            return frame;
        }
        let Ok(frame) = rename_ids_in_frame(&frame, CONVERSATION_OF_EVENT, &mut |id: &str| {
            Ok::<_, Infallible>(Some(self.seal(Kind::Conversation, id)))
        });
        frame
    }
}

/// Whether there may be a conversation's id: most responses belong to none, and are not read twice.
fn names_conversation(body: &[u8]) -> bool {
    static THEIRS: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"conv_"));
    THEIRS.find(body).is_some()
}
