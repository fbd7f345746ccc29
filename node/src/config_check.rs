//! `dunlin config check FILE`: everything wrong with a config file, for people or for programs.

use std::path::{Path, PathBuf};

use clap::Args;
use dunlin_cli::Output;
use dunlin_config::{Diagnostic, Document, Outcome, Place};
use serde_json::{Value, json};

use crate::config::{environment, gathered, options, render, with_own_prices};
use crate::{Exit, say};

/// The file to check.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The config file.
    file: PathBuf,
    /// Treat unknown keys as errors.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: Output,
}

impl CheckArgs {
    /// For LiteLLM's `--validate_config`.
    pub(crate) fn of(file: PathBuf, strict: bool) -> Self {
        Self { file, strict, output: Output::TABLE }
    }
}

/// Findings for people go to stderr; programs get them on stdout.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<Exit> {
    let environment = environment();
    let (document, problems) = gathered(&args.file);
    let outcome = if problems.is_empty() {
        let options = with_own_prices(options(args.strict), &document, &environment)?;
        dunlin_config::load(&document, &environment, &options)
    } else {
        let (notes, settings, left_out) = Default::default();
        Outcome { diagnostics: problems, notes, settings, left_out, loaded: None }
    };
    if !args.output.is_json() {
        say(&render(&document, &outcome));
    }
    let size = outcome.loaded.as_ref().map(|loaded| {
        let groups = &loaded.catalog.groups;
        (groups.len(), groups.values().map(|group| group.deployments.len()).sum::<usize>())
    });
    let text = size.map(|(models, deployments)| {
        format!("{}: ok, {models} models, {deployments} deployments\n", args.file.display())
    });
    let json = told(&args.file, &document, &outcome, size);
    // A reader that has left is no failure of ours.
    drop(args.output.show("dunlin.config.check/1", json, &text.unwrap_or_default()));
    Ok(if size.is_some() { Exit::Done } else { Exit::ProblemsFound })
}

fn told(
    file: &Path,
    document: &Document,
    outcome: &Outcome,
    size: Option<(usize, usize)>,
) -> Value {
    let diagnostics: Vec<_> =
        outcome.diagnostics.iter().map(|one| diagnostic(document, one)).collect();
    json!({
        "file": file.display().to_string(),
        "ok": size.is_some(),
        "models": size.map(|(models, _)| models),
        "deployments": size.map(|(_, deployments)| deployments),
        "diagnostics": diagnostics,
        "notes": outcome.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn diagnostic(document: &Document, found: &Diagnostic) -> Value {
    let at = |place: &Place, label: &str| {
        let (file, line, column) = place.begins(document)?;
        Some(json!({"file": file, "line": line, "column": column, "label": label}))
    };
    let mut told = found.place.as_ref().and_then(|(place, label)| at(place, label));
    let told = told
        .get_or_insert_with(|| json!({"file": null, "line": null, "column": null, "label": null}));
    told["severity"] = found.severity.word().into();
    told["code"] = found.code.as_str().into();
    told["message"] = found.message.as_str().into();
    told["related"] = found.related.iter().filter_map(|(place, label)| at(place, label)).collect();
    told["notes"] = found.notes.clone().into();
    told.take()
}

#[cfg(test)]
mod tests {
    use dunlin_config::Severity;

    use super::*;

    #[test]
    fn programs_are_told_where_each_finding_is_and_what_it_is() {
        let text = "model_list:\n  - model_name: m\n    litellm_parms: {model: openai/a}\n";
        let (document, _) = dunlin_config::gather("c.yaml", &mut |_| Ok(text.to_owned()));
        let outcome = dunlin_config::load(
            &document,
            &dunlin_config::Environment::default(),
            &dunlin_config::Options::default(),
        );
        let told = told(Path::new("c.yaml"), &document, &outcome, None);
        assert_eq!(told["ok"], false);
        let first = told["diagnostics"].as_array().expect("an array").iter();
        let first = first.clone().find(|one| one["line"] == 3).expect("what is misspelt");
        assert_eq!((&first["file"], &first["column"]), (&json!("c.yaml"), &json!(5)));
        assert_eq!(first["severity"], Severity::Error.word());
        assert!(first["code"].as_str().is_some_and(|code| code.starts_with("DL")), "{first}");
        assert!(first["message"].as_str().is_some_and(|text| text.contains("litellm_parms")));
    }
}
