//! Config revisions: proposed, brought back, forgotten.

use super::*;

fn propose(content: &str, after: u64) -> Command {
    let sealed = content.as_bytes().to_vec();
    let (hash, source) = (content.to_owned(), "config.yaml".to_owned());
    Command::ProposeConfig { hash, sealed, source, after }
}

fn newest(script: &Script) -> (u64, &str, Option<u64>) {
    let config = script.state.config().expect("a config");
    (config.revision, &config.hash, config.copy_of)
}

#[test]
fn an_older_revision_comes_back_as_a_new_one() {
    let mut script = Script::default();
    for (after, content) in ["a", "b", "c"].into_iter().enumerate() {
        script.run(propose(content, after as u64)).expect("accepted");
    }
    let back = |to, after| Command::RollBackConfig { to, after };
    assert_eq!(script.run(back(1, 2)), Err(Rejected::StaleRevision { newest: 3 }));
    assert_eq!(script.run(back(9, 3)), Err(Rejected::UnknownRevision { revision: 9 }));
    assert_eq!(script.run(back(3, 3)), Ok(Reply::Revision(3)), "it is in force already");
    assert_eq!(script.run(back(1, 3)), Ok(Reply::Revision(4)));
    assert_eq!(newest(&script), (4, "a", Some(1)));
    assert_eq!(
        script.run(propose("a", 4)),
        Ok(Reply::Revision(4)),
        "a file of that content is in force"
    );
    let old = Rejected::OldRevision { revision: 3, newest: 4 };
    assert_eq!(script.run(propose("c", 4)), Err(old), "what was rolled back stays away");
    assert_eq!(script.run(back(3, 4)), Ok(Reply::Revision(5)));
    assert_eq!(script.run(back(4, 5)), Ok(Reply::Revision(6)));
    assert_eq!(newest(&script), (6, "a", Some(1)), "a copy of a copy names the first");
}

#[test]
fn contents_and_rows_are_forgotten_in_that_order_and_never_the_newest() {
    let mut script = Script::default();
    for after in 0..1_100_u64 {
        script.run(propose(&format!("content {after}"), after)).expect("accepted");
    }
    let kept: Vec<_> = script.state.config_history().collect();
    assert_eq!((kept.len(), kept[0].revision), (1_000, 101));
    assert_eq!(kept.iter().filter(|known| !known.sealed.is_empty()).count(), 100);
    let unknown = Err(Rejected::UnknownRevision { revision: 1_000 });
    assert_eq!(script.run(Command::RollBackConfig { to: 1_000, after: 1_100 }), unknown);
    let large = "x".repeat(4 << 20);
    for number in 0..9_u64 {
        let sealed = large.as_bytes().to_vec();
        let (hash, source, after) = (number.to_string(), String::new(), 1_100 + number);
        script.run(Command::ProposeConfig { hash, sealed, source, after }).expect("accepted");
    }
    let bytes: usize = script.state.config_history().map(|known| known.sealed.len()).sum();
    assert!(bytes <= 32 << 20, "{bytes}");
    assert!(!script.state.config().expect("a config").sealed.is_empty());
}

#[test]
fn an_edit_builds_on_the_newest_revision_and_may_say_what_was_said_before() {
    let edit = |content: &str, after| {
        let (hash, sealed) = (content.to_owned(), content.as_bytes().to_vec());
        let (source, changes) = ("router_settings".to_owned(), Vec::new());
        Command::EditConfig { hash, sealed, source, after, changes }
    };
    let mut script = Script::default();
    assert_eq!(script.run(edit("b", 0)), Err(Rejected::StaleRevision { newest: 0 }), "of nothing");
    script.run(propose("a", 0)).expect("accepted");
    assert_eq!(script.run(edit("b", 1)), Ok(Reply::Revision(2)));
    assert_eq!(script.run(edit("c", 1)), Err(Rejected::StaleRevision { newest: 2 }), "overtaken");
    assert_eq!(script.run(edit("b", 2)), Ok(Reply::Revision(2)), "nothing changes");
    let old = Rejected::OldRevision { revision: 1, newest: 2 };
    assert_eq!(script.run(propose("a", 2)), Err(old), "the file that was changed is old");
    assert_eq!(script.run(edit("a", 2)), Ok(Reply::Revision(3)));
    assert_eq!(newest(&script), (3, "a", Some(1)));
    assert_eq!(script.run(propose("a", 3)), Ok(Reply::Revision(3)), "and is in force again");
    let large = vec![0; (4 << 20) + 1];
    let (hash, source) = ("l".to_owned(), String::new());
    let changes = Vec::new();
    let large = Command::EditConfig { hash, sealed: large, source, after: 3, changes };
    assert!(matches!(script.run(large), Err(Rejected::TooLarge { .. })));
    for after in 3..1_500_u64 {
        script.run(edit(&format!("content {after}"), after)).expect("accepted");
    }
    let kept: Vec<_> = script.state.config_history().map(|known| known.revision).collect();
    assert_eq!((kept.len(), kept[0], kept[1]), (1_000, 1, 502), "the file is still known");
}
