//! Models and credentials set over the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::command::{Resource, ResourceChange, ResourceKind};

fn model(id: &str, bytes: usize) -> Command {
    let resource = Resource {
        id: id.to_owned(),
        name: "chat".to_owned(),
        sealed: vec![7; bytes].into(),
        created_by: "ann".to_owned(),
        updated_by: "ann".to_owned(),
        ..Resource::default()
    };
    Command::CreateResource { resource: Box::new(resource) }
}

fn change(id: &str, seen: u64) -> Command {
    let change = ResourceChange {
        kind: ResourceKind::Model,
        id: id.to_owned(),
        seen,
        name: "other".to_owned(),
        sealed: vec![8].into(),
        shown: BTreeMap::new(),
        by: "bob".to_owned(),
    };
    Command::UpdateResource { change: Box::new(change) }
}

fn delete(ids: &[&str]) -> Command {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    Command::DeleteResources { kind: ResourceKind::Model, ids }
}

#[test]
fn a_resource_is_changed_only_from_the_version_that_was_seen() {
    let mut script = Script::default();
    let made = script.run(model("m", 1)).expect("made");
    let Reply::Resource(made) = made else { panic!("the model") };
    assert_eq!(
        (made.version, made.created_at, made.updated_at),
        (1, UnixMillis(1000), UnixMillis(1000))
    );
    let exists = Rejected::ResourceExists { kind: ResourceKind::Model, id: "m".to_owned() };
    assert_eq!(script.run(model("m", 1)), Err(exists));
    let Ok(Reply::Resource(changed)) = script.run(change("m", 1)) else { panic!("changed") };
    assert_eq!((changed.name.as_str(), changed.updated_by.as_str()), ("other", "bob"));
    assert_eq!((changed.created_by.as_str(), changed.created_at), ("ann", UnixMillis(1000)));
    let overtaken = Rejected::ResourceChanged { kind: ResourceKind::Model, id: "m".to_owned() };
    assert_eq!(script.run(change("m", 1)), Err(overtaken), "made from what is no more");
    assert_eq!(script.state.resources_version(), 3);
}

#[test]
fn what_is_deleted_is_told_and_what_was_never_there_is_rejected() {
    let mut script = Script::default();
    script.run(model("a", 1)).expect("made");
    script.run(model("b", 1)).expect("made");
    let gone = script.run(delete(&["a", "never"])).expect("one of them");
    assert_eq!(gone, Reply::Gone { names: vec!["a".to_owned()], keys: Vec::new() });
    let unknown = Rejected::UnknownResource { kind: ResourceKind::Model, id: "a".to_owned() };
    assert_eq!(script.run(delete(&["a"])), Err(unknown.clone()));
    assert_eq!(script.run(change("a", 1)), Err(unknown));
    let left: Vec<_> = script.state.resources(ResourceKind::Model).map(|one| &*one.id).collect();
    assert_eq!(left, ["b"]);
    assert_eq!(script.state.resources(ResourceKind::Credential).count(), 0);
}

#[test]
fn resources_are_bounded_in_size_and_number() {
    let mut script = Script::default();
    assert!(matches!(script.run(model("m", 70_000)), Err(Rejected::TooLarge { .. })));
    assert!(matches!(script.run(model(&"m".repeat(600), 1)), Err(Rejected::TooLarge { .. })));
    let Command::CreateResource { mut resource } = model("m", 1) else { unreachable!("it makes") };
    resource.shown.insert("x".to_owned(), "7".repeat(70_000));
    let shown = Command::CreateResource { resource };
    assert!(matches!(script.run(shown), Err(Rejected::TooLarge { .. })));
    for number in 0..1_024 {
        script.run(model(&format!("big {number}"), 64 << 10)).expect("within the bound");
    }
    assert!(matches!(script.run(model("one more", 1)), Err(Rejected::TooLarge { .. })));
    let mut script = Script::default();
    for number in 0..5_000 {
        script.run(model(&number.to_string(), 1)).expect("within the bound");
    }
    let refused = script.run(model("one more", 1));
    assert_eq!(refused, Err(Rejected::TooMany { what: "model".to_owned(), most: 5_000 }));
    script.run(delete(&["17"])).expect("gone");
    script.run(model("one more", 1)).expect("there is room again");
}

#[test]
fn a_snapshot_holds_them() {
    let mut script = Script::default();
    script.run(model("m", 3)).expect("made");
    let restored = State::restore(&script.state.snapshot()).expect("our own");
    assert_eq!(restored.digest(), script.state.digest());
    let kept = restored.resource(ResourceKind::Model, "m").map(Arc::as_ref);
    assert_eq!(kept, script.state.resource(ResourceKind::Model, "m").map(Arc::as_ref));
    assert_eq!(restored.resources_version(), 1);
}
