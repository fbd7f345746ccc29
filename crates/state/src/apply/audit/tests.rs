//! Commands in, rows out.

use std::net::IpAddr;

use dunlin_types::{ChainHash, ClusterId, Epoch, KeyDigest, NanoUsd, NodeId, UnixMillis};

use super::*;
use crate::audit::{Actor, AuditLink};
use crate::command::{
    Change, Command, CommandId, Entity, KeyChanges, Member, Rejected, Reply, ResourceChange,
    SettingChange, Spender, Terms, TermsChanges,
};
use crate::format::Format;

#[derive(Default)]
struct Script {
    state: State,
    seq: u64,
    told: u64,
}

fn ann() -> Actor {
    Actor {
        user: Some("ann".to_owned()),
        key: Some(KeyDigest::of("sk-ann")),
        address: Some(IpAddr::from([10, 0, 0, 9])),
        route: "/key/update".to_owned(),
        ..Actor::default()
    }
}

impl Script {
    fn by(&mut self, actor: Option<Actor>, command: Command) -> Result<Reply, Rejected> {
        self.seq += 1;
        let id = CommandId { node: NodeId(1), epoch: Epoch(1), seq: self.seq };
        let at = UnixMillis(1000 * self.seq);
        self.state.apply(self.seq, at, &Entry { id, actor: actor.map(Box::new), command })
    }

    fn run(&mut self, command: Command) {
        self.by(Some(ann()), command).expect("accepted");
    }

    /// The rows since the last look: action, table, object, before, after.
    fn rows(&mut self) -> Vec<[String; 5]> {
        let links: Vec<Arc<AuditLink>> = self.state.audit().after(self.told).cloned().collect();
        self.told = self.state.audit().head().0;
        assert_eq!(self.state.audit().verify(), Ok(()));
        let cells = |link: &Arc<AuditLink>| {
            let row = &link.row;
            let (action, table) = (row.action.name().to_owned(), row.table.name().to_owned());
            [action, table, row.object.clone(), row.before.clone(), row.after.clone()]
        };
        links.iter().map(cells).collect()
    }
}

fn key(clear: &str, terms: Terms) -> Command {
    let (token, name) = (KeyDigest::of(clear), "sk-...".to_owned());
    Command::CreateKey { key: Box::new(Key { token, name, terms, ..Key::default() }) }
}

fn update(clear: &str, terms: TermsChanges) -> Command {
    let changes = Box::new(KeyChanges { terms, ..KeyChanges::default() });
    Command::UpdateKey { token: KeyDigest::of(clear), changes }
}

fn entity(kind: Kind, name: &str, members: &[&str]) -> Command {
    let entity = Box::new(Entity { kind, name: name.to_owned(), ..Entity::default() });
    let member = |user: &&str| {
        let (user, role) = ((*user).to_owned(), "user".to_owned());
        Member { user, role, ..Member::default() }
    };
    Command::CreateEntity { entity, members: members.iter().map(member).collect() }
}

#[track_caller]
fn assert_rows(script: &mut Script, expected: &[[&str; 5]]) {
    let rows = script.rows();
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(String::as_str)).collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_keys_life_is_told() {
    const KEYS: &str = "LiteLLM_VerificationToken";
    let (first, second) = (KeyDigest::of("sk-a").to_string(), KeyDigest::of("sk-b").to_string());
    let mut script = Script::default();
    script
        .run(key("sk-a", Terms { rpm: Some(3), models: vec!["m".to_owned()], ..Terms::default() }));
    let made = format!(r#"{{"key_name":"sk-...","models":["m"],"rpm_limit":3,"token":"{first}"}}"#);
    assert_rows(&mut script, &[["created", KEYS, &first, "{}", &made]]);

    let budget = Change::Set(NanoUsd(5_500_000_000));
    let terms = TermsChanges { rpm: Change::Clear, max_budget: budget, ..TermsChanges::default() };
    script.run(update("sk-a", terms));
    let (was, is) =
        (r#"{"max_budget":null,"rpm_limit":3}"#, r#"{"max_budget":5.5,"rpm_limit":null}"#);
    assert_rows(&mut script, &[["updated", KEYS, &first, was, is]]);
    let same = TermsChanges { rpm: Change::Clear, ..TermsChanges::default() };
    script.run(update("sk-a", same));
    assert_rows(&mut script, &[]);

    let token = KeyDigest::of("sk-a");
    script.run(Command::SetBlocked { token, blocked: true });
    script.run(Command::SetBlocked { token, blocked: false });
    let (none, yes, no) = (r#"{"blocked":null}"#, r#"{"blocked":true}"#, r#"{"blocked":false}"#);
    let blocked = [["blocked", KEYS, &first, none, yes], ["unblocked", KEYS, &first, yes, no]];
    assert_rows(&mut script, &blocked);

    let (whose, period) = (Spender::Key(token), UnixMillis(0));
    script.run(Command::SetSpendOf { whose, period, to: NanoUsd(1) });
    let (was, is) = (r#"{"spend":null}"#, r#"{"spend":0.000000001}"#);
    assert_rows(&mut script, &[["updated", KEYS, &first, was, is]]);

    let (name, grace, changes) = ("sk-...bbbb".to_owned(), None, Box::default());
    let new = KeyDigest::of("sk-b");
    script.run(Command::RegenerateKey { token, new, name, grace, changes });
    let was = format!(r#"{{"key_name":"sk-...","token":"{first}"}}"#);
    let is = format!(r#"{{"key_name":"sk-...bbbb","token":"{second}"}}"#);
    assert_rows(&mut script, &[["rotated", KEYS, &first, &was, &is]]);

    script.run(Command::DeleteKeys { tokens: vec![new] });
    let rows = script.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0][0].as_str(), rows[0][2].as_str()), ("deleted", second.as_str()));
    assert!(rows[0][3].contains(r#""spend":0.000000001"#) && rows[0][4] == "{}", "{rows:?}");
}

#[test]
fn whoever_hangs_on_what_is_deleted_has_a_row() {
    let mut script = Script::default();
    script.run(entity(Kind::Team, "t", &["ann", "bob"]));
    let mut of_team = key("sk-a", Terms::default());
    let Command::CreateKey { key } = &mut of_team else { unreachable!("it makes a key") };
    key.team = Some("t".to_owned());
    script.run(of_team);
    script.rows();
    let (kind, name) = (Kind::Team, "t".to_owned());
    script.run(Command::RemoveMembers { kind, name, users: vec!["bob".to_owned()] });
    script.run(Command::DeleteEntities { kind, names: vec!["t".to_owned()] });
    let rows = script.rows();
    let told: Vec<_> = rows
        .iter()
        .map(|[action, table, object, ..]| (action.as_str(), table.as_str(), object.as_str()))
        .collect();
    let token = KeyDigest::of("sk-a").to_string();
    let expected = [
        ("deleted", "LiteLLM_TeamMembership", "t:bob"),
        ("deleted", "LiteLLM_TeamTable", "t"),
        ("deleted", "LiteLLM_TeamMembership", "t:ann"),
        ("deleted", "LiteLLM_VerificationToken", token.as_str()),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_row_tells_who_and_from_where_and_a_nodes_own_doings_leave_none_but_the_config() {
    let mut script = Script::default();
    script.run(key("sk-a", Terms::default()));
    let row = &script.state.audit().row(1).expect("a row").row;
    assert_eq!((row.actor.as_ref(), row.node, row.index), (Some(&ann()), NodeId(1), 1));
    assert_eq!(row.at, UnixMillis(1000));
    script.rows();

    script.by(None, key("sk-b", Terms::default())).expect("accepted");
    let (node, address) = (NodeId(3), "n:1".to_owned());
    script.by(None, Command::AddNode { node, address }).expect("accepted");
    script.by(None, Command::FormCluster { cluster: ClusterId(7) }).expect("accepted");
    assert_rows(&mut script, &[]);

    let propose = |hash: &str, after| {
        let (hash, source, sealed) =
            (hash.to_owned(), "config.yaml".to_owned(), b"sealed".to_vec());
        Command::ProposeConfig { hash, sealed, source, after }
    };
    script.by(None, propose("h1", 0)).expect("accepted");
    script.by(None, propose("h1", 0)).expect("known");
    script.by(Some(ann()), propose("h2", 1)).expect("accepted");
    let first = r#"{"hash":"h1","revision":1,"source":"config.yaml"}"#;
    let config = "LiteLLM_Config";
    let (was, is) = (r#"{"hash":"h1","revision":1}"#, r#"{"hash":"h2","revision":2}"#);
    let rows = [["created", config, "config", "{}", first], ["updated", config, "config", was, is]];
    assert_rows(&mut script, &rows);
    let change = |setting: &str, before: Option<&str>, after: Option<&str>| SettingChange {
        setting: setting.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    script.run(Command::EditConfig {
        hash: "h3".to_owned(),
        sealed: b"sealed".to_vec(),
        source: "config.yaml".to_owned(),
        after: 2,
        changes: vec![
            change("router_settings.num_retries", Some("2"), Some("3")),
            change("general_settings.x_token", None, Some(r#""xyzzy""#)),
            change("litellm_settings.odd", None, Some("no JSON")),
        ],
    });
    let was = r#"{"general_settings.x_token":null,"hash":"h2","revision":2,"router_settings.num_retries":2}"#;
    let is = r#"{"general_settings.x_token":"***","hash":"h3","revision":3,"router_settings.num_retries":3}"#;
    assert_rows(&mut script, &[["updated", config, "config", was, is]]);
    script.run(Command::RemoveNode { node, by: "ann".to_owned() });
    let node = "0000000000000003";
    assert_rows(&mut script, &[["deleted", "Dunlin_Node", node, r#"{"address":"n:1"}"#, "{}"]]);
}

#[test]
fn who_drained_a_node_and_who_held_the_format_is_told() {
    let mut script = Script::default();
    let (node, id) = (NodeId(3), "0000000000000003");
    script.by(None, Command::AddNode { node, address: "n:1".to_owned() }).expect("new");
    script.run(Command::Drain { node, draining: true });
    script.run(Command::Drain { node, draining: false });
    let [no, yes] = [r#"{"draining":false}"#, r#"{"draining":true}"#];
    let drained =
        [["updated", "Dunlin_Node", id, no, yes], ["updated", "Dunlin_Node", id, yes, no]];
    assert_rows(&mut script, &drained);
    let stranger = Command::Drain { node: NodeId(9), draining: true };
    assert!(script.by(Some(ann()), stranger).is_err());

    script.run(Command::HoldFormat { held: true });
    script.run(Command::HoldFormat { held: true });
    let raise = || Command::RaiseFormat { to: Format::NEWEST };
    assert_eq!(script.by(None, raise()), Ok(Reply::Unchanged), "it is held");
    assert_eq!(script.state.format(), Format::FIRST);
    let [free, held] = [r#"{"held":false}"#, r#"{"held":true}"#];
    assert_rows(&mut script, &[["updated", "Dunlin_Cluster", "log format", free, held]]);
    script.run(Command::HoldFormat { held: false });
    assert_rows(&mut script, &[["updated", "Dunlin_Cluster", "log format", held, free]]);
    assert_eq!(script.by(None, raise()), Ok(Reply::Done));
    assert_eq!(script.by(None, raise()), Ok(Reply::Unchanged));
    let back = Command::RaiseFormat { to: Format::FIRST };
    assert_eq!(script.by(None, back), Ok(Reply::Unchanged));
    let restored = State::restore(&script.state.snapshot()).expect("our own");
    assert_eq!((restored.format(), restored.format_is_held()), (Format::NEWEST, false));
    assert_rows(&mut script, &[]);
}

#[test]
fn of_a_model_each_field_is_told_as_it_was_and_as_it_is() {
    const MODELS: &str = "LiteLLM_ProxyModelTable";
    let shown = |base: &str, key: &str| {
        let texts = [("api_base", base), ("api_key", key)];
        texts.map(|(name, text)| (format!("litellm_params.{name}"), format!("\"{text}\""))).into()
    };
    let mut script = Script::default();
    let resource = Resource {
        id: "m1".to_owned(),
        name: "chat".to_owned(),
        shown: shown("http://a", "*** 1f2e3d4c"),
        ..Resource::default()
    };
    script.run(Command::CreateResource { resource: Box::new(resource) });
    let made = concat!(
        r#"{"litellm_params.api_base":"http://a","litellm_params.api_key":"*** 1f2e3d4c","#,
        r#""model_name":"chat"}"#
    );
    assert_rows(&mut script, &[["created", MODELS, "m1", "{}", made]]);
    let change = |seen, base: &str, key: &str| {
        let change = ResourceChange {
            kind: ResourceKind::Model,
            id: "m1".to_owned(),
            seen,
            name: "chat".to_owned(),
            sealed: Vec::new().into(),
            shown: shown(base, key),
            by: "ann".to_owned(),
        };
        Command::UpdateResource { change: Box::new(change) }
    };
    script.run(change(1, "http://b", "*** 1f2e3d4c"));
    let base = |base: &str| format!(r#"{{"litellm_params.api_base":"{base}"}}"#);
    let (was, is) = (base("http://a"), base("http://b"));
    assert_rows(&mut script, &[["updated", MODELS, "m1", &was, &is]]);
    script.run(change(2, "http://b", "*** 5a5a5a5a"));
    let key = |word: &str| format!(r#"{{"litellm_params.api_key":"*** {word}"}}"#);
    let (was, is) = (key("1f2e3d4c"), key("5a5a5a5a"));
    assert_rows(&mut script, &[["updated", MODELS, "m1", &was, &is]]);

    let value = |name: &str| (format!("credential_values.{name}"), r#""mine""#.to_owned());
    let resource = Resource {
        kind: ResourceKind::Credential,
        id: "c".to_owned(),
        name: "c".to_owned(),
        shown: [value("api_base"), value("api_key")].into(),
        ..Resource::default()
    };
    script.run(Command::CreateResource { resource: Box::new(resource) });
    let made = concat!(
        r#"{"credential_name":"c","credential_values.api_base":"mine","#,
        r#""credential_values.api_key":"***"}"#
    );
    assert_rows(&mut script, &[["created", "LiteLLM_CredentialsTable", "c", "{}", made]]);
}

#[test]
fn what_is_rejected_or_repeated_leaves_no_row() {
    let mut script = Script::default();
    script.run(key("sk-a", Terms::default()));
    assert_eq!(script.rows().len(), 1);
    script.by(Some(ann()), key("sk-a", Terms::default())).expect_err("it exists");
    let spoiled = vec![key("sk-b", Terms::default()), key("sk-a", Terms::default())];
    script.by(Some(ann()), Command::All { commands: spoiled }).expect_err("one of them exists");
    script.seq -= 3;
    script.run(key("sk-a", Terms::default()));
    assert_rows(&mut script, &[]);
}

#[test]
fn no_secret_is_ever_in_a_row() {
    let mut script = Script::default();
    let other = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let terms = Terms {
        other: [
            other("metadata", r#"{"note": "mine is sk-0123456789abcdef", "aws_secret": "xyzzy"}"#),
            other(
                "config",
                r#"{"logging": [{"callback_vars": {"langfuse_secret_key": "xyzzy"}}]}"#,
            ),
            other("password", r#""xyzzy""#),
            other("description", r#""sk-0123456789abcdef""#),
        ]
        .into(),
        tags: vec!["sk-0123456789abcdef".to_owned()],
        ..Terms::default()
    };
    script.run(key("sk-0123456789abcdef", terms.clone()));
    script.run(entity(Kind::Team, "sk-0123456789abcdef", &["u"]));
    let changed = r#"{"aws_secret": "plugh"}"#.to_owned();
    let changes = [("metadata".to_owned(), Change::Set(changed))].into();
    script.run(update(
        "sk-0123456789abcdef",
        TermsChanges { other: changes, ..TermsChanges::default() },
    ));
    let (hash, source) = ("h".to_owned(), "config.yaml".to_owned());
    script.run(Command::ProposeConfig { hash, source, sealed: b"xyzzy".to_vec(), after: 0 });
    let said = Some("sk-0123456789abcdef".to_owned());
    let boss = Actor { on_behalf_of: said.clone(), agent: said, ..ann() };
    let gone = vec![KeyDigest::of("sk-0123456789abcdef")];
    script.by(Some(boss), Command::DeleteKeys { tokens: gone }).expect("known");
    let texts = script.state.audit().rows().map(|link| link.row.text()).collect::<Vec<_>>();
    assert_eq!(texts.len(), 6);
    for text in &texts {
        for secret in ["0123456789abcdef", "xyzzy", "plugh", &hex::encode("xyzzy")] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let changed = texts.iter().find(|text| text.contains(r#""action":"updated""#));
    assert!(changed.is_some_and(|text| text.contains(r#"aws_secret"#)), "that it changed is told");
}

#[test]
fn a_long_value_is_shown_by_its_hash_and_too_many_rows_by_their_number() {
    let mut script = Script::default();
    let mut terms = Terms::default();
    terms.other.insert("metadata".to_owned(), format!(r#"{{"x":"{}"}}"#, "x".repeat(5_000)));
    script.run(key("sk-a", terms));
    let rows = script.rows();
    assert!(rows[0][4].contains(r#""metadata":"5008 bytes, SHA-256 "#), "{}", rows[0][4]);

    let users: Vec<_> = (0..MAX_ROWS_OF_ENTRY + 9).map(|user| format!("user-{user:04}")).collect();
    let users: Vec<_> = users.iter().map(String::as_str).collect();
    script.run(entity(Kind::Team, "large", &users));
    let rows = script.rows();
    assert_eq!(rows.len(), MAX_ROWS_OF_ENTRY + 1);
    let [_, table, object, _, after] = &rows[MAX_ROWS_OF_ENTRY];
    assert_eq!((table.as_str(), object.as_str()), ("Dunlin_More", "10 more changes"));
    let none = ChainHash::default().to_string();
    assert!(after.starts_with(r#"{"count":10,"hash":""#) && !after.contains(&none), "{after}");
}
