//! What the system says of this process, under the names that all Prometheus clients use.

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;

static PROCESS: LazyLock<ProcessCollector> = LazyLock::new(ProcessCollector::for_self);

/// `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds` and their kin.
pub(crate) fn families() -> Vec<MetricFamily> {
    let families = PROCESS.collect().into_iter();
    families.filter(|family| !family.get_metric().is_empty()).collect()
}
