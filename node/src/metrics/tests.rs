//! The metrics and the page that tells of them.

use std::collections::BTreeSet;

use super::*;

const PAGE: &str = include_str!("../../../docs/metrics.md");

#[test]
fn the_page_tells_of_every_metric_what_the_metric_tells_of_itself() {
    let row = |Desc { name, kind, help, labels }: &Desc| {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {} | {} | {help} |", kind.name(), labels.join(" "));
        row.replace("|  |", "| |")
    };
    let rows = all().into_iter().map(row);
    let missing: Vec<_> = rows.filter(|row| PAGE.lines().all(|line| line != row)).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks\n{}", missing.join("\n"));
    let told: Vec<_> = PAGE.lines().filter(|line| line.starts_with("| `dunlin_")).collect();
    let known = all().into_iter().filter(|desc| desc.name.starts_with("dunlin_"));
    let known: BTreeSet<_> = known.map(|desc| desc.name).collect();
    assert_eq!(told.len(), known.len(), "a metric is told that there is not, or told twice");
}

#[test]
fn what_is_told_to_be_missing_is() {
    let (_, absent) = PAGE.split_once("### Not there").expect("a part");
    let told = absent.lines().filter(|line| line.starts_with("| `"));
    let named = told.flat_map(|line| line.split('`').skip(1).step_by(2));
    let named: BTreeSet<_> = named.filter(|name| name.starts_with("litellm_")).collect();
    assert!(named.len() > 30, "the page is read");
    let there = all().into_iter().map(|desc| desc.name).filter(|name| named.contains(name));
    assert_eq!(there.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn the_config_knows_the_names_of_litellms_metrics() {
    let litellms = all().into_iter().filter(|desc| dunlin_metrics::is_litellms(desc));
    let short = litellms.map(|desc| desc.name.strip_suffix("_total").unwrap_or(desc.name));
    let short: BTreeSet<_> = short.collect();
    assert_eq!(short.into_iter().collect::<Vec<_>>(), dunlin_config::LITELLM_METRICS);
    let litellms = all().into_iter().filter(|desc| dunlin_metrics::is_litellms(desc));
    let labels: BTreeSet<_> = litellms.flat_map(|desc| desc.labels).copied().collect();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), dunlin_config::LITELLM_LABELS);
}

#[test]
fn the_dashboard_and_the_alerts_name_metrics_that_there_are() {
    const PROMETHEUS_OWN: [&str; 2] =
        ["process_cpu_seconds_total", "process_resident_memory_bytes"];
    let known: BTreeSet<_> = all().into_iter().map(|desc| desc.name).collect();
    let files = [
        include_str!("../../../docs/monitoring/grafana.json"),
        include_str!("../../../docs/monitoring/alerts.yml"),
    ];
    for file in files {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = file.split(|c| !is_name(c)).filter(|word| {
            ["dunlin_", "litellm_", "process_"].iter().any(|start| word.starts_with(start))
        });
        // A label, which begins like a metric.
        let named: BTreeSet<_> = words.filter(|word| *word != "litellm_model_name").collect();
        assert!(named.len() > 10, "the file is read");
        for name in named {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let is_there = known.contains(name)
                || base.is_some_and(|base| known.contains(base))
                || PROMETHEUS_OWN.contains(&name);
            assert!(is_there, "there is no metric {name}");
        }
    }
    let board: serde_json::Value = serde_json::from_str(files[0]).expect("JSON");
    assert!(board["panels"].as_array().is_some_and(|panels| panels.len() > 30));
}

#[test]
fn names_say_units_and_what_is_counted() {
    let names: Vec<_> = all().into_iter().map(|desc| desc.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each name once");
    for desc in all() {
        let total = desc.name.ends_with("_total");
        assert_eq!(total, desc.kind == dunlin_metrics::Kind::Counter, "{}", desc.name);
        assert!(desc.help.ends_with('.') && !desc.help.contains('|'), "{}", desc.name);
    }
}
