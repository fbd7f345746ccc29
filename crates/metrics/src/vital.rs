//! Tasks without which a node must not go on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

/// Calls a function when it is dropped by a panic.
pub struct OnPanic<E: Fn()>(E);

impl<E: Fn()> OnPanic<E> {
    /// Calls `end` if the thread panics while this is in scope.
    #[must_use = "it is dropped at once"]
    pub fn new(end: E) -> Self {
        Self(end)
    }
}

impl<E: Fn()> Drop for OnPanic<E> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)();
        }
    }
}

/// A task that calls a function if it panics: a runtime would drop it without a word.
pub struct Vital<F, E> {
    task: Pin<Box<F>>,
    end: E,
}

/// Has `end` called if `task` panics.
pub fn vital<F: Future, E: Fn() + Unpin>(task: F, end: E) -> Vital<F, E> {
    Vital { task: Box::pin(task), end }
}

impl<F: Future, E: Fn() + Unpin> Future for Vital<F, E> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { task, end } = self.get_mut();
        let _ends = OnPanic::new(&*end);
        task.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_task_that_panics_says_so_and_one_that_ends_does_not() {
        let ended = AtomicUsize::new(0);
        let end = || {
            ended.fetch_add(1, Ordering::Relaxed);
        };
        let mut context = Context::from_waker(Waker::noop());
        let done = Pin::new(&mut vital(std::future::ready(7), end)).poll(&mut context);
        assert_eq!((done, ended.load(Ordering::Relaxed)), (Poll::Ready(7), 0));
        let mut panicking =
            vital(std::future::poll_fn(|_| -> Poll<()> { panic!("on purpose") }), end);
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut panicking).poll(&mut context)));
        assert!(polled.is_err());
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }
}
