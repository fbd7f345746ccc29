//! `dunlin migrate litellm`: reads the config file as a node would, and hands over what it says of
//! the move.

use dunlin_admin::Preview;
use dunlin_cli::{Exit, IMPORT, Judge, Known, Litellm, migrate};
use dunlin_config::{
    AddedCredential, AddedModel, Additions, Diagnostic, Document, Environment, Fate, Loaded,
    Outcome, Severity,
};
use dunlin_migrate::{Finding, Options, Outcome as Becomes, Place, Setting};
use dunlin_types::{Secret, UnixMillis};
use serde_json::Value;

use crate::config;
use crate::say;

/// Tells what moves, and moves it if that was asked for.
pub(crate) fn run(args: &Litellm) -> anyhow::Result<Exit> {
    let environment = config::environment();
    let document = match config::gather(args.config()) {
        Ok(document) => document,
        Err(problems) => {
            say(&format!("{problems}\n"));
            return Ok(Exit::Usage);
        }
    };
    let options = config::with_own_prices(config::options(false), &document, &environment)?;
    let outcome = dunlin_config::load(&document, &environment, &options);
    let loaded = outcome.loaded.as_ref().map(|loaded| &loaded.settings);
    let of_file = loaded.and_then(|settings| settings.master_key.clone());
    let variable = |name| environment.get(name).filter(|text| !text.is_empty()).map(Secret::new);
    let master = of_file.or_else(|| variable("LITELLM_MASTER_KEY"));
    let names_database = environment.get("DATABASE_URL").is_some()
        || outcome.settings.iter().any(|setting| setting.name.ends_with("database_url"));
    let now = crate::clock::system().unix();
    let known = Known {
        judge: judge(document.clone(), environment.clone(), options, (master.clone(), now)),
        settings: settings(&document, &outcome),
        servable: outcome.loaded.is_some(),
        names_database,
        options: Options {
            now,
            calendar: loaded.map(|settings| settings.budgets.calendar.clone()).unwrap_or_default(),
            salt: variable("LITELLM_SALT_KEY").or_else(|| master.clone()),
            master,
            drop_guards: false,
        },
    };
    Ok(migrate(args, known, config::keys_from_environment()))
}

/// Judges what a dump says as a node with this config and these variables would.
fn judge(
    document: Document,
    environment: Environment,
    options: dunlin_config::Options,
    (master, now): (Option<Secret>, UnixMillis),
) -> Judge {
    Box::new(move |asked| {
        let credentials = asked.iter().filter_map(|(_, body)| credential(body));
        let additions = Additions { credentials: credentials.collect(), ..Additions::default() };
        let outcome = dunlin_config::load_with(&document, &additions, &environment, &options);
        let Some(Loaded { basis, catalog, settings, .. }) = outcome.loaded else {
            return vec![Vec::new(); asked.len()];
        };
        let calendar = &settings.budgets.calendar;
        let preview = Preview { catalog: &catalog, calendar, master_key: master.as_ref(), now };
        let rows = asked.iter().filter(|(path, _)| *path == IMPORT).map(|(_, row)| row);
        let mut refusals = preview.refusals(rows).into_iter();
        let problems = |(path, body): &(&str, Value)| match (credential(body), model(body)) {
            _ if *path == IMPORT => refusals.next().flatten().into_iter().collect(),
            (Some(credential), _) => basis.judge_credential(&credential),
            (None, Some(model)) => basis.judge(&model).problems,
            (None, None) => Vec::new(),
        };
        asked.iter().map(problems).collect()
    })
}

fn credential(body: &Value) -> Option<AddedCredential> {
    let name = body["credential_name"].as_str()?.to_owned();
    Some(AddedCredential { name, values: body["credential_values"].as_object()?.clone() })
}

fn model(body: &Value) -> Option<AddedModel> {
    let info = body["model_info"].as_object().cloned().unwrap_or_default();
    let id = info.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = body["model_name"].as_str()?.to_owned();
    Some(AddedModel { id, name, params: body["litellm_params"].as_object()?.clone(), info })
}

/// Every setting that is known, and everything that is wrong, in the order of the files.
fn settings(document: &Document, outcome: &Outcome) -> Vec<Setting> {
    let place = |place: &dunlin_config::Place| {
        let (file, line) = place.line(document);
        Place { file: file.into(), line }
    };
    let finding = |reason: &str| vec![Finding { field: String::new(), reason: reason.to_owned() }];
    let known = outcome.settings.iter().map(|setting| Setting {
        place: place(&setting.place),
        name: setting.name.clone(),
        outcome: match setting.fate {
            Fate::Kept => Becomes::Kept,
            Fate::Replaced(by) => Becomes::Changed(finding(by)),
            Fate::NotYet => Becomes::Unsupported(finding("read, and not in force yet")),
        },
    });
    let wrong = outcome.diagnostics.iter().map(|found: &Diagnostic| {
        let at = found.place.as_ref().map(|(at, _)| place(at));
        let mut reason = found.message.clone();
        for note in &found.notes {
            reason += "; ";
            reason += note;
        }
        Setting {
            place: at
                .unwrap_or_else(|| Place { file: document.files[0].path.as_str().into(), line: 1 }),
            name: match found.severity {
                Severity::Error => "error".to_owned(),
                Severity::Warning => "warning".to_owned(),
            },
            outcome: Becomes::Unsupported(finding(&reason)),
        }
    });
    known.chain(wrong).collect()
}
