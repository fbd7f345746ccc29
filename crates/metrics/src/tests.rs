//! What Prometheus reads is what was counted, and never more than the bounds allow.

use std::sync::Arc;
use std::time::Duration;

use super::*;

static LEVEL: Desc = Desc::gauge("t_level", "How high.", &["of"]);
static EVENTS: Desc = Desc::counter("t_events_total", "How often.", &[]);
static SPEND: Desc = Desc::counter("t_spend_total", "How much.", &["model_id", "team"]);
static TOOK: Desc = Desc::histogram("t_took_seconds", "How long.", &[]);

fn labels(values: &[&str]) -> Vec<Arc<str>> {
    values.iter().map(|value| Arc::from(*value)).collect()
}

async fn read(metrics: &Metrics) -> String {
    let page = metrics.page().await.expect("a turn");
    String::from_utf8(page.to_vec()).expect("text")
}

#[tokio::test]
async fn a_page_is_prometheus_text_in_the_order_of_the_names() {
    let metrics = Metrics::default();
    let took = {
        let mut took = Histogram::new(Arc::new([0.5, 2.0]));
        [0.5, 1.0, 9.0].into_iter().for_each(|value| took.observe(value));
        took
    };
    metrics.add(|page| {
        page.level(&LEVEL, &["a \"b\"\n"], 7_u64);
        page.count(&EVENTS, &[], 3);
    });
    metrics.add(move |page| page.histogram(&TOOK, &[], &took));
    let text = read(&metrics).await;
    let (ours, process) = text.split_at(text.find("# HELP process_").expect("the process"));
    assert_eq!(
        ours,
        "# HELP t_events_total How often.\n# TYPE t_events_total counter\nt_events_total 3\n\
         # HELP t_level How high.\n# TYPE t_level gauge\nt_level{of=\"a \\\"b\\\"\\n\"} 7\n\
         # HELP t_took_seconds How long.\n# TYPE t_took_seconds histogram\n\
         t_took_seconds_bucket{le=\"0.5\"} 1\nt_took_seconds_bucket{le=\"2\"} 2\n\
         t_took_seconds_bucket{le=\"+Inf\"} 3\nt_took_seconds_sum 10.5\nt_took_seconds_count 3\n"
    );
    for name in ["cpu_seconds_total", "open_fds", "resident_memory_bytes", "start_time_seconds"] {
        assert!(process.contains(&format!("\nprocess_{name} ")), "{name}: {process}");
    }
}

#[test]
fn callers_beyond_the_bound_are_told_together_and_models_as_long_as_there_is_room() {
    let mut spend = Series::bounded(&SPEND, 3);
    let mut add = |model: &str, team: &str| {
        let place = spend.place(&labels(&[model, team]), || 0.0);
        *spend.at(place) += 1.0;
    };
    for team in ["a", "b", "c", "d", "e", "a"] {
        add("m", team);
    }
    for model in ["n", "o", "p", "q"] {
        add(model, "a");
    }
    let told: Vec<_> = spend.rows().map(|(labels, value)| (labels.join(" "), *value)).collect();
    let expected = [
        ("m a", 2.0),
        ("m b", 1.0),
        ("m c", 1.0),
        ("m other", 2.0),
        ("n other", 1.0),
        ("o other", 1.0),
        ("other other", 2.0),
    ];
    assert_eq!(told, expected.map(|(labels, value)| (labels.to_owned(), value)));
    assert_eq!(spend.beyond(), 6);
}

#[tokio::test]
async fn what_is_beyond_a_bound_is_counted_under_the_metrics_name() {
    let metrics = Metrics::default();
    metrics.add(|page| {
        for number in 0..MAX_LABEL_SETS + 5 {
            page.level(&LEVEL, &[&number.to_string()], 1_u64);
        }
    });
    for times in ["5", "10"] {
        let text = read(&metrics).await;
        assert_eq!(
            text.lines().filter(|line| line.starts_with("t_level{")).count(),
            MAX_LABEL_SETS
        );
        let told = format!("dunlin_metrics_beyond_bound_total{{metric=\"t_level\"}} {times}");
        assert!(text.contains(&told), "{told}");
    }
}

#[tokio::test]
async fn readers_that_are_slow_keep_others_waiting_and_no_longer_than_a_turn() {
    let metrics = Metrics::default();
    let mut held = Vec::new();
    for _ in 0..MAX_PAGES {
        held.push(metrics.page().await.expect("a turn"));
    }
    assert_eq!(metrics.page_within(Duration::from_millis(20)).await.err(), Some(Busy));
    let waiting = metrics.page();
    let leaving = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        held.pop();
    };
    let (page, ()) = tokio::join!(waiting, leaving);
    assert!(page.is_ok());
}
