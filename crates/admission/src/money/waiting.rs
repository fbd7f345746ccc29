//! Requests that wait for money are called when there is some for them, each by itself: if all of a
//! thousand looked whenever something moved, the nodes would do little else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dunlin_types::RequestId;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::Money;

/// How long those who wait are left alone after some of them were called.
const PAUSE: Duration = Duration::from_millis(1);

/// Who waits, and what calls it.
#[derive(Default)]
pub(super) struct Calls(Mutex<BTreeMap<RequestId, Arc<Notify>>>);

impl Calls {
    fn all(&self) -> MutexGuard<'_, BTreeMap<RequestId, Arc<Notify>>> {
        self.0.lock().expect("no code panics while it holds the calls")
    }
}

/// The call that a request waits for. Dropped, nobody calls it any more.
pub(super) struct Call<'m> {
    money: &'m Money,
    request: RequestId,
    call: Arc<Notify>,
}

impl<'m> Call<'m> {
    pub(super) fn new(money: &'m Money, request: RequestId) -> Self {
        let call = Arc::<Notify>::default();
        money.0.calls.all().insert(request, Arc::clone(&call));
        Self { money, request, call }
    }

    /// There may be money for it, or there can be none.
    pub(super) async fn comes(&self) {
        self.call.notified().await;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.money.0.calls.all().remove(&self.request);
    }
}

/// Calls those that wait whenever there may be something for them, for as long as the node lives.
pub(super) async fn wake(money: Money) {
    let mut applied = money.0.consensus.applied();
    loop {
        tokio::select! {
            () = money.0.bell.notified() => {}
            _ = applied.changed() => {}
        }
        applied.borrow_and_update();
        if money.purses().figures().waiting > 0 {
            let now = money.0.clock.mono();
            let ready = money.look(|purses, view| purses.ready(view, now));
            let calls = money.0.calls.all();
            ready.iter().filter_map(|of| calls.get(of)).for_each(|call| call.notify_one());
            drop(calls);
            money.0.wake.notify_one();
        }
        sleep(PAUSE).await;
    }
}
