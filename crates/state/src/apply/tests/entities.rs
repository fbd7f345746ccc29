//! Teams, users and memberships.

use super::*;
use crate::command::{Entity, EntityChanges, Kind, Member, MemberChanges, Terms, TermsChanges};
use crate::payer::Rank;

fn entity(kind: Kind, name: &str, terms: Terms) -> Command {
    let entity = Entity { kind, name: name.to_owned(), terms, ..Entity::default() };
    Command::CreateEntity { entity: Box::new(entity), members: Vec::new() }
}

fn team_of(users: &[&str]) -> Command {
    let member = |user: &&str| Member { user: (*user).to_owned(), ..Member::default() };
    let member_terms = Terms { max_budget: Some(NanoUsd(7)), ..Terms::default() };
    let entity = Entity { name: "blue".to_owned(), member: member_terms, ..Entity::default() };
    Command::CreateEntity { entity: Box::new(entity), members: users.iter().map(member).collect() }
}

fn of_team(clear: &str, user: Option<&str>) -> Command {
    let team = Some("blue".to_owned());
    Command::CreateKey {
        key: Box::new(Key { team, user: user.map(str::to_owned), ..*key(clear, None) }),
    }
}

/// A budget of 90 days that is set today is not fresh again next week.
#[test]
fn days_that_no_calendar_counts_begin_when_they_are_set() {
    let mut script = Script::default();
    let since =
        |script: &Script| script.state.entity(Kind::Team, "t").expect("it").terms.budget_since;
    let set = |script: &mut Script, duration: Change<String>, alias: &str| {
        let terms = TermsChanges { budget_duration: duration, ..TermsChanges::default() };
        let alias = Change::Set(alias.to_owned());
        let changes = Box::new(EntityChanges { alias, terms, ..EntityChanges::default() });
        let (kind, name) = (Kind::Team, "t".to_owned());
        script.run(Command::UpdateEntity { kind, name, changes }).expect("known");
        script.state.at()
    };
    let duration = |text: &str| Some(text.to_owned());
    let terms = Terms { budget_duration: duration("90d"), ..Terms::default() };
    script.run(entity(Kind::Team, "t", terms)).expect("new");
    let made = script.state.at();
    assert_eq!(since(&script), Some(made));
    set(&mut script, Change::Set("90d".to_owned()), "said again");
    assert_eq!(since(&script), Some(made), "nothing begins anew by saying it again");
    set(&mut script, Change::Keep, "other");
    assert_eq!(since(&script), Some(made));
    let changed = set(&mut script, Change::Set("10d".to_owned()), "shorter");
    assert_eq!(since(&script), Some(changed));
    set(&mut script, Change::Set("30d".to_owned()), "a month");
    assert_eq!(since(&script), None, "the calendar says when a month begins");
    set(&mut script, Change::Clear, "none");
    assert_eq!(since(&script), None);
}

#[test]
fn everyone_a_key_spends_for_is_asked_in_order() {
    let mut script = Script::default();
    let shared = Terms { rpm: Some(3), ..Terms::default() };
    for command in [
        entity(Kind::Budget, "shared", shared),
        entity(Kind::Organization, "acme", Terms::default()),
        entity(
            Kind::User,
            "ann",
            Terms { budget_id: Some("shared".to_owned()), ..Terms::default() },
        ),
        entity(Kind::Tag, "t", Terms::default()),
        entity(Kind::EndUser, "eve", Terms::default()),
        team_of(&["ann"]),
        of_team("sk-team", Some("ann")),
    ] {
        script.run(command).expect("accepted");
    }
    let organization = Change::Set("acme".to_owned());
    let changes = Box::new(EntityChanges { organization, ..EntityChanges::default() });
    let (kind, name) = (Kind::Team, "blue".to_owned());
    script.run(Command::UpdateEntity { kind, name, changes }).expect("known");
    let mut own = key("sk-own", None);
    own.user = Some("ann".to_owned());
    script.run(Command::CreateKey { key: own }).expect("a new key");

    let payers = |clear: &str| {
        let caller =
            script.state.authenticate(KeyDigest::of(clear), &[], UnixMillis(0)).expect("fine");
        let mut payers = caller.payers;
        let tags = ["t".to_owned(), "unknown".to_owned()];
        script.state.add_payers(&mut payers, Some("eve"), &tags, None);
        payers
    };
    let ranks = |clear: &str| payers(clear).iter().map(|payer| payer.rank).collect::<Vec<_>>();
    use Rank::{EndUser, Key, Member, Organization, Tag, Team, User};
    assert_eq!(ranks("sk-team"), [Team, Organization, Tag, User, Member, EndUser, Key]);
    assert_eq!(ranks("sk-own"), [Tag, User, EndUser, Key]);
    let user = &payers("sk-team")[3];
    assert_eq!(
        (user.rpm(), user.models()),
        (None, [].as_slice()),
        "it is charged, and binds nothing"
    );
    let member = &payers("sk-team")[4];
    assert_eq!(member.name(), "blue:ann");
    assert_eq!(
        member.budgets(&"m".into(), UnixMillis(0))[0].limit,
        NanoUsd(7),
        "as the team has it"
    );
    assert_eq!(payers("sk-own")[1].rpm(), Some(3), "as the shared budget has it");
}

#[test]
fn a_member_is_held_to_models_and_to_its_budget_in_the_organization() {
    let mut script = Script::default();
    script.run(entity(Kind::Organization, "acme", Terms::default())).expect("new");
    let joins = |kind, name: &str, terms| {
        let member = Member { user: "ann".to_owned(), terms, ..Member::default() };
        Command::AddMembers { kind, name: name.to_owned(), members: vec![member] }
    };
    let budget = Terms { max_budget: Some(NanoUsd(3)), ..Terms::default() };
    script.run(joins(Kind::Organization, "acme", budget)).expect("she joins");
    script.run(team_of(&["ann"])).expect("new");
    let lists = |models: &[&str]| models.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let changes = Box::new(EntityChanges {
        organization: Change::Set("acme".to_owned()),
        member: TermsChanges { models: Change::Set(lists(&["b"])), ..TermsChanges::default() },
        ..EntityChanges::default()
    });
    let (kind, name) = (Kind::Team, "blue".to_owned());
    script.run(Command::UpdateEntity { kind, name, changes }).expect("known");
    script.run(of_team("sk-team", Some("ann"))).expect("new");
    let caller = |state: &State| {
        state.authenticate(KeyDigest::of("sk-team"), &[], UnixMillis(0)).expect("a known key")
    };

    let asking = caller(&script.state);
    assert!(asking.access().allows(&["b"]) && !asking.access().allows(&["a"]), "as the team says");
    let terms = TermsChanges { models: Change::Set(lists(&["a"])), ..TermsChanges::default() };
    let changes = Box::new(MemberChanges { role: Change::Keep, terms });
    let (name, user) = ("blue".to_owned(), "ann".to_owned());
    script.run(Command::UpdateMember { kind, name, user, changes }).expect("a member");
    let asking = caller(&script.state);
    assert!(asking.access().allows(&["a"]) && !asking.access().allows(&["b"]), "her own list");

    let member = asking.payers.iter().find(|payer| payer.rank == Rank::OrganizationMember);
    let member = member.expect("the team's organization pays");
    assert_eq!((member.name().as_str(), member.title()), ("acme:ann", "organization member"));
    assert_eq!(member.budgets(&"m".into(), UnixMillis(0))[0].limit, NanoUsd(3));
    assert!(member.models().is_empty());
}

#[test]
fn an_end_user_is_held_to_its_models() {
    let mut script = Script::default();
    let lists = Terms { models: vec!["a".to_owned()], ..Terms::default() };
    script.run(entity(Kind::EndUser, "eve", lists)).expect("new");
    script.run(Command::CreateKey { key: key("sk-a", None) }).expect("new");
    let mut caller =
        script.state.authenticate(KeyDigest::of("sk-a"), &[], UnixMillis(0)).expect("a known key");
    assert!(caller.access().allows(&["b"]), "who it is for is not known");
    script.state.add_payers(&mut caller.payers, Some("eve"), &[], None);
    assert!(caller.access().allows(&["a"]) && !caller.access().allows(&["b"]));
    assert_eq!(caller.lister(1).map(|payer| payer.rank), Some(Rank::EndUser));
}

#[test]
fn windows_are_checked_the_shortest_first() {
    let every = ["1d", "1h", "7d", "30m", "1mo"];
    let windows = every.map(|every| (every.to_owned(), NanoUsd(1))).into();
    let terms = Terms { windows, ..Terms::default() };
    let order: Vec<_> = terms.windows_by_length().into_iter().map(|(every, _)| every).collect();
    assert_eq!(order, ["30m", "1h", "1d", "7d", "1mo"]);
}

#[test]
fn what_is_named_must_exist_and_what_is_used_cannot_go() {
    let mut script = Script::default();
    let unknown = |kind, name: &str| Err(Rejected::UnknownEntity { kind, name: name.to_owned() });
    assert_eq!(script.run(of_team("sk-a", None)), unknown(Kind::Team, "blue"));
    let terms = Terms { budget_id: Some("b".to_owned()), ..Terms::default() };
    assert_eq!(script.run(entity(Kind::User, "ann", terms.clone())), unknown(Kind::Budget, "b"));
    assert!(script.state.entity(Kind::User, "ann").is_none(), "a rejection changes nothing");
    script.run(entity(Kind::Budget, "b", Terms::default())).expect("new");
    script.run(entity(Kind::User, "ann", terms)).expect("new");
    let delete = |kind, name: &str| Command::DeleteEntities { kind, names: vec![name.to_owned()] };
    let in_use = script.run(delete(Kind::Budget, "b"));
    assert!(matches!(in_use, Err(Rejected::InUse { .. })), "{in_use:?}");
    script.run(delete(Kind::User, "ann")).expect("known");
    let shared = Terms { budget_id: Some("b".to_owned()), ..Terms::default() };
    script.run(entity(Kind::AccessGroup, "premium", shared.clone())).expect("new");
    assert!(matches!(script.run(delete(Kind::Budget, "b")), Err(Rejected::InUse { .. })));
    script.run(delete(Kind::AccessGroup, "premium")).expect("known");
    script.run(team_of(&[])).expect("new");
    let member = Member { user: "bob".to_owned(), terms: shared, ..Member::default() };
    let (kind, name) = (Kind::Team, "blue".to_owned());
    script.run(Command::AddMembers { kind, name, members: vec![member] }).expect("he joins");
    let in_use = script.run(delete(Kind::Budget, "b"));
    assert!(matches!(in_use, Err(Rejected::InUse { .. })), "a member would be without a budget");
    script.run(delete(Kind::Team, "blue")).expect("known");
    script.run(delete(Kind::Budget, "b")).expect("nobody refers to it");
}

#[test]
fn with_a_team_or_a_user_go_their_keys_and_memberships() {
    let mut script = Script::default();
    for command in [
        entity(Kind::User, "ann", Terms::default()),
        team_of(&["ann", "bob"]),
        of_team("sk-ann", Some("ann")),
        of_team("sk-bob", Some("bob")),
    ] {
        script.run(command).expect("accepted");
    }
    let delete = |kind, name: &str| Command::DeleteEntities { kind, names: vec![name.to_owned()] };
    let gone = script.run(delete(Kind::User, "ann"));
    let keys = vec![KeyDigest::of("sk-ann")];
    assert_eq!(gone, Ok(Reply::Gone { names: vec!["ann".to_owned()], keys }));
    let members = |state: &State| state.members(Kind::Team, "blue").count();
    assert_eq!(members(&script.state), 1);
    script.run(delete(Kind::Team, "blue")).expect("known");
    assert_eq!((members(&script.state), script.state.keys().count()), (0, 0));
    assert_eq!(script.state.holders.len(), 0, "nothing hangs in the air");
}

#[test]
fn an_address_is_one_users_whatever_its_case() {
    let mut script = Script::default();
    let user = |name: &str, email: &str| {
        let (name, email) = (name.to_owned(), Some(email.to_owned()));
        let entity = Box::new(Entity { kind: Kind::User, name, email, ..Entity::default() });
        Command::CreateEntity { entity, members: Vec::new() }
    };
    script.run(user("ann", "A@example.com")).expect("new");
    let taken = Rejected::DuplicateEmail { email: "a@EXAMPLE.com".to_owned() };
    assert_eq!(script.run(user("bob", "a@EXAMPLE.com")), Err(taken));
    assert_eq!(script.state.user_by_email("a@example.com").expect("ann").name, "ann");
}

#[test]
fn an_id_to_sign_in_by_is_one_users_until_it_has_another() {
    let mut script = Script::default();
    let terms = |id: &str| {
        let kept = ("sso_user_id".to_owned(), format!("{id:?}"));
        Terms { other: [kept].into(), ..Terms::default() }
    };
    script.run(entity(Kind::User, "ann", terms("s-1"))).expect("new");
    script.run(entity(Kind::User, "zoe", terms("s-1"))).expect("an older format allows it");
    script
        .run(Command::DeleteEntities { kind: Kind::User, names: vec!["zoe".to_owned()] })
        .expect("known");
    script.run(Command::RaiseFormat { to: crate::Format::NEWEST }).expect("news");
    let taken = Err(Rejected::DuplicateSsoId { id: "s-1".to_owned() });
    assert_eq!(script.run(entity(Kind::User, "bob", terms("s-1"))), taken);
    script.run(entity(Kind::User, "bob", terms(""))).expect("none");
    script.run(entity(Kind::User, "eve", terms(""))).expect("none, too");
    script.run(entity(Kind::Team, "s", terms("s-1"))).expect("teams do not sign in");
    let set = |name: &str, id: &str| {
        let other = terms(id).other.into_iter().map(|(name, id)| (name, Change::Set(id)));
        let terms = TermsChanges { other: other.collect(), ..TermsChanges::default() };
        let changes = Box::new(EntityChanges { terms, ..EntityChanges::default() });
        Command::UpdateEntity { kind: Kind::User, name: name.to_owned(), changes }
    };
    assert_eq!(script.run(set("bob", "s-1")), taken);
    script.state = State::restore(&script.state.snapshot()).expect("a snapshot");
    assert_eq!(script.run(set("bob", "s-1")), taken, "after a snapshot, too");
    script.run(set("ann", "s-2")).expect("another one");
    script.run(set("bob", "s-1")).expect("free again");
    let gone = Command::DeleteEntities { kind: Kind::User, names: vec!["ann".to_owned()] };
    script.run(gone).expect("known");
    script.run(set("bob", "s-2")).expect("free with its user");
}

#[test]
fn a_blocked_team_blocks_its_keys() {
    let mut script = Script::default();
    script.run(team_of(&[])).expect("new");
    script.run(of_team("sk-a", None)).expect("new");
    let terms = TermsChanges { blocked: Change::Set(true), ..TermsChanges::default() };
    let changes = Box::new(EntityChanges { terms, ..EntityChanges::default() });
    let (kind, name) = (Kind::Team, "blue".to_owned());
    script.run(Command::UpdateEntity { kind, name: name.clone(), changes }).expect("known");
    let refused = script.state.authenticate(KeyDigest::of("sk-a"), &[], UnixMillis(0)).err();
    assert_eq!(refused, Some(Refusal::HolderBlocked { kind, name }));
}

#[test]
fn all_commands_or_none() {
    let mut script = Script::default();
    let both =
        |second| Command::All { commands: vec![entity(Kind::Tag, "t", Terms::default()), second] };
    assert!(script.run(both(of_team("sk-a", None))).is_err());
    assert!(script.state.entity(Kind::Tag, "t").is_none());
    let done = script.run(both(entity(Kind::Tag, "u", Terms::default())));
    assert!(matches!(done, Ok(Reply::All(replies)) if replies.len() == 2));
}

#[test]
fn what_comes_from_elsewhere_keeps_its_age_and_takes_the_place_that_was_seen() {
    let mut script = Script::default();
    let (kind, name) = (Kind::Team, "t".to_owned());
    let put_team = |alias: &str, over| {
        let (name, alias) = (name.clone(), Some(alias.to_owned()));
        let created_at = UnixMillis(500);
        let entity = Box::new(Entity { kind, name, alias, created_at, ..Entity::default() });
        Command::PutEntity { entity, over }
    };
    script.run(put_team("one", None)).expect("new");
    let team = Entity::clone(script.state.entity(kind, "t").expect("the team"));
    assert_eq!((team.created_at, team.updated_at), (UnixMillis(500), UnixMillis(1_000)));
    let taken = Err(Rejected::EntityExists { kind, name: name.clone() });
    assert_eq!(script.run(put_team("two", None)), taken);
    assert_eq!(script.run(put_team("two", Some(EntityId(7)))), taken, "another one was seen");
    script.run(put_team("two", Some(team.id))).expect("that one was seen");
    let now = script.state.entity(kind, "t").expect("the team");
    assert_eq!((now.id, now.alias.as_deref()), (team.id, Some("two")));

    let put_member = |role: &str, over| {
        let member = Member { user: "ann".to_owned(), role: role.to_owned(), ..Member::default() };
        Command::PutMember { kind, name: name.clone(), member: Box::new(member), over }
    };
    script.run(put_member("user", None)).expect("new");
    let ann = script.state.member(kind, "t", "ann").expect("a member").id;
    let taken = Err(Rejected::MemberExists { user: "ann".to_owned() });
    assert_eq!(script.run(put_member("admin", None)), taken);
    script.run(put_member("admin", Some(ann))).expect("that one was seen");
    let now = script.state.member(kind, "t", "ann").expect("a member");
    assert_eq!((now.id, now.role.as_str()), (ann, "admin"));

    let put_key = |alias: &str, created_at, over| {
        let created_at = UnixMillis(created_at);
        Command::PutKey { key: Box::new(Key { created_at, ..*key("sk-a", Some(alias)) }), over }
    };
    assert_eq!(script.run(put_key("a", 0, Some(ann))), Err(Rejected::UnknownKey));
    script.run(put_key("a", u64::MAX, None)).expect("new");
    let made = Key::clone(script.state.key(&KeyDigest::of("sk-a")).expect("the key"));
    assert!(made.created_at == script.state.at, "it cannot be younger than now");
    assert_eq!(script.run(put_key("b", 0, None)), Err(Rejected::KeyExists));
    script.run(put_key("b", 7, Some(made.id))).expect("that one was seen");
    let now = script.state.key_by_alias("b").expect("the key");
    assert_eq!((now.id, now.created_at), (made.id, UnixMillis(7)));
    assert!(script.state.key_by_alias("a").is_none());
}

#[test]
fn with_a_member_go_its_keys_of_the_group_and_no_others() {
    let mut script = Script::default();
    for command in [
        entity(Kind::User, "ann", Terms::default()),
        team_of(&["ann", "bob"]),
        of_team("sk-ann", Some("ann")),
        of_team("sk-bob", Some("bob")),
        Command::CreateKey {
            key: Box::new(Key { user: Some("ann".to_owned()), ..*key("sk-own", None) }),
        },
    ] {
        script.run(command).expect("accepted");
    }
    let users = vec!["ann".to_owned()];
    let leave = Command::RemoveMembers { kind: Kind::Team, name: "blue".to_owned(), users };
    script.run(leave).expect("a member");
    let left = ["sk-bob", "sk-own"].map(|clear| script.state.key(&KeyDigest::of(clear)).is_some());
    assert_eq!((script.state.keys().count(), left), (2, [true, true]));
}

#[test]
fn what_was_decided_by_something_that_has_changed_since_is_not_done() {
    let mut script = Script::default();
    let (kind, name) = (Kind::Team, "blue".to_owned());
    script.run(team_of(&["ann"])).expect("new");
    script.run(of_team("sk-a", None)).expect("new");
    let seen = |script: &Script| -> Vec<Seen> {
        let team = script.state.entity(kind, "blue").expect("the team");
        let key = script.state.key(&KeyDigest::of("sk-a")).expect("the key");
        vec![Seen::from(&**team), Seen::from(&**key)]
    };
    let models = |model: &str| {
        let models = Change::Set(vec![model.to_owned()]);
        let terms = TermsChanges { models, ..TermsChanges::default() };
        let changes = Box::new(EntityChanges { terms, ..EntityChanges::default() });
        Command::UpdateEntity { kind, name: name.clone(), changes }
    };
    let guarded = |seen: &[Seen], model: &str| Command::IfUnchanged {
        seen: seen.to_vec(),
        command: Box::new(models(model)),
    };
    let alias = KeyChanges { alias: Change::Set("other".to_owned()), ..KeyChanges::default() };
    let token = KeyDigest::of("sk-a");
    let joins = vec![Member { user: "bob".to_owned(), ..Member::default() }];
    for (other, what) in [
        (models("first"), "team `blue`"),
        (Command::AddMembers { kind, name: name.clone(), members: joins }, "team `blue`"),
        (Command::UpdateKey { token, changes: Box::new(alias) }, "the key"),
    ] {
        let before = seen(&script);
        script.run(other).expect("nobody is in the way");
        let state = script.state.clone();
        let refused = script.run(guarded(&before, "second"));
        assert_eq!(refused, Err(Rejected::ChangedInBetween { what: what.to_owned() }));
        assert_eq!(script.state.entity(kind, "blue"), state.entity(kind, "blue"));
    }
    let before = seen(&script);
    script.run(guarded(&before, "second")).expect("it is as it was seen");
    // Two changes in one moment are two.
    let (at, id) = (script.state.at(), CommandId { node: NodeId(9), epoch: Epoch(1), seq: 1 });
    let before = seen(&script);
    let entry = Entry { id, actor: None, command: models("third") };
    script.state.apply(100, at, &entry).expect("known");
    assert!(matches!(
        script.run(guarded(&before, "fourth")),
        Err(Rejected::ChangedInBetween { .. })
    ));
    script.run(Command::DeleteEntities { kind, names: vec![name.clone()] }).expect("known");
    assert!(script.run(guarded(&before, "fifth")).is_err(), "it is gone");
}
