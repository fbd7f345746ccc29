//! Long lists, cut into pages.

use crate::error::Error;
use crate::request::fault::Fault;
use crate::routes::Request;

/// Which page, from 1, and how many things are on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) page: usize,
    pub(crate) size: usize,
}

impl Pages {
    /// From the parameters `page` and `size_name`.
    pub(crate) fn read(
        asked: &Request,
        size_name: &str,
        usual: usize,
        most: usize,
    ) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let mut number = |name: &str, usual: usize, most: usize| {
            let Some(text) = asked.param(name) else { return usual };
            let number = text.parse().ok().filter(|number| (1..=most).contains(number));
            number.unwrap_or_else(|| {
                let most = if most == usize::MAX { "on".to_owned() } else { format!("to {most}") };
                let msg = format!("Input should be a valid integer from 1 {most}");
                faults.push(Fault::of("query", name, "value_error", msg));
                usual
            })
        };
        let page = number("page", 1, usize::MAX);
        let size = number(size_name, usual, most);
        if faults.is_empty() { Ok(Self { page, size }) } else { Err(Error::Invalid(faults)) }
    }

    /// What is on the page.
    pub(crate) fn cut<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let from = (self.page - 1).saturating_mul(self.size).min(all.len());
        &all[from..all.len().min(from.saturating_add(self.size))]
    }

    /// How many pages there are.
    pub(crate) fn of(&self, count: usize) -> usize {
        count.div_ceil(self.size)
    }
}
