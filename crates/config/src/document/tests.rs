//! Includes, and what a revision keeps of a document.

use std::collections::BTreeMap;

use super::*;
use crate::{Environment, Options, load};

fn gathered(files: &[(&str, &str)]) -> (Document, Vec<Diagnostic>) {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    gather("etc/config.yaml", &mut |path| {
        files.get(path).map(|text| (*text).to_owned()).ok_or_else(|| "no such file".to_owned())
    })
}

fn messages(diagnostics: &[Diagnostic]) -> Vec<&str> {
    diagnostics.iter().map(|found| found.message.as_str()).collect()
}

fn model(name: &str) -> String {
    format!(
        "[{{model_name: {name}, litellm_params: {{model: hosted_vllm/x, api_base: http://x}}}}]"
    )
}

fn load_all(document: &Document) -> crate::Outcome {
    let vllm = crate::Provider { id: "hosted_vllm", ..crate::Provider::default() };
    let options = Options { providers: vec![vllm], ..Options::default() };
    load(document, &Environment::default(), &options)
}

#[test]
fn included_lists_are_joined_and_other_sections_replaced() {
    let (a, b) = (model("a"), model("b"));
    let root = format!(
        "include: [models/more.yaml]\nmodel_list: {a}\nrouter_settings: {{num_retries: 1, timeout: 9}}\n"
    );
    let more = format!("include: [./deep.yaml]\nmodel_list: {b}\n");
    let deep = "router_settings: {num_retries: 7}\n";
    let (document, problems) = gathered(&[
        ("etc/config.yaml", &root),
        ("etc/models/more.yaml", &more),
        ("etc/models/deep.yaml", deep),
    ]);
    assert_eq!(messages(&problems), [""; 0]);
    let outcome = load_all(&document);
    let catalog = outcome.loaded.expect("loads").catalog;
    assert_eq!(catalog.groups.keys().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(catalog.retry.num_retries, 7);
    assert_eq!(
        catalog.groups["a"].deployments[0].timeout.as_secs(),
        6000,
        "the section is replaced"
    );
}

#[test]
fn a_cycle_is_an_error_and_so_is_a_file_that_is_not_there() {
    let list = model("a");
    let root = format!("include: [b.yaml, gone.yaml]\nmodel_list: {list}\n");
    let (document, problems) =
        gathered(&[("etc/config.yaml", &root), ("etc/b.yaml", "include: [config.yaml]\n")]);
    assert_eq!(messages(&problems), ["cannot read gone.yaml: no such file"]);
    let outcome = load_all(&document);
    let said = messages(&outcome.diagnostics);
    assert_eq!(
        said,
        ["gone.yaml was not read", "config.yaml is included twice, or includes itself"]
    );
    assert!(outcome.diagnostics[1].render(&document, false).contains("etc/b.yaml:1:11"));
    assert!(outcome.loaded.is_none());
}

#[test]
fn a_file_beside_the_root_is_found_with_a_warning() {
    let list = model("a");
    let (document, problems) = gathered(&[
        ("etc/config.yaml", "include: [sub/b.yaml]\n"),
        ("etc/sub/b.yaml", "include: [c.yaml]\n"),
        ("etc/c.yaml", &format!("model_list: {list}\n")),
    ]);
    assert_eq!(messages(&problems), [""; 0]);
    let outcome = load_all(&document);
    assert_eq!(messages(&outcome.diagnostics), ["c.yaml was found beside the root file only"]);
    assert!(outcome.loaded.is_some());
}

#[test]
fn the_hash_sees_what_is_said_and_not_how() {
    let list = model("a");
    let cluster = "cluster:\n  secret: of-this-node\n  port: 4001\n";
    let one = format!(
        "# a comment\nmodel_list: {list}\n{cluster}router_settings: {{timeout: 5, num_retries: 2}}\n"
    );
    let two = format!("router_settings:\n  num_retries: 2\n  timeout: 5\nmodel_list: {list}\n");
    let three = two.replace("timeout: 5", "timeout: 6");
    let of = |text: &str| gathered(&[("etc/config.yaml", text)]).0;
    assert_eq!(hashed_bytes(&of(&one)), hashed_bytes(&of(&two)));
    assert_ne!(hashed_bytes(&of(&two)), hashed_bytes(&of(&three)));

    let replicated = document_from(&revision_bytes(&of(&one))).expect("a revision");
    assert!(!replicated.files[0].text.contains("of-this-node"), "{}", replicated.files[0].text);
    assert_eq!(replicated.files[0].text.lines().count(), one.lines().count());
    assert_eq!(hashed_bytes(&replicated), hashed_bytes(&of(&one)));
    assert!(load_all(&replicated).loaded.is_some());
}

#[test]
fn bytes_from_elsewhere_are_no_revision() {
    for bytes in [&b""[..], b"{}", b"{\"files\":[]}"] {
        assert!(document_from(bytes).is_err());
    }
}
