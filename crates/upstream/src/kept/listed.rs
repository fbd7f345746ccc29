//! Lists of an account's files and batches, where neither store nor jobs know a place in them by the
//! last thing that a client has: they are read from their beginning.

use bytes::Bytes;
use dunlin_providers::bucket::Listed;
use dunlin_providers::jobs::{self, Address, Batch};

use super::{Keeper, Stop};
use crate::relay::Relayed;

/// The newest batches of an account, so many of which are listed.
const MAX_BATCHES: usize = 1_000;
/// Things of a list whose client does not say how many it wants, and the most that one can have.
const DEFAULT_PAGE: usize = 20;
const MAX_PAGE: usize = 100;

impl Keeper<'_> {
    /// Those that clients have uploaded, the newest first.
    pub(super) async fn files(&self, query: &str) -> Result<Relayed, Stop> {
        let shelf = self.jobs.shelf();
        let mut files = self.all(&shelf).await?;
        files.sort_by_key(|file| std::cmp::Reverse(file.made));
        let at = |file: &Listed| Address { name: file.name.clone(), bucket: shelf.bucket.clone() };
        let known = files.into_iter().map(|file| (self.jobs.id(&at(&file)), file)).collect();
        let shown =
            |file: Listed| jobs::file(&self.jobs, &at(&file).into(), std::slice::from_ref(&file));
        Ok(self.json(page(query, known, shown)))
    }

    /// The newest first, as far as their provider has them so.
    pub(super) async fn batches(&self, query: &str) -> Result<Relayed, Stop> {
        let (mut batches, mut after) = (Vec::<Batch>::new(), None::<String>);
        loop {
            let call = self.jobs.listing(after.as_deref());
            let body = self.ask(call.map_err(|error| self.unsendable(&error))?).await?;
            let read = self.jobs.read_list(&body);
            let (more, next) = read.ok_or_else(|| self.failed(self.jobs.no_job()))?;
            batches.extend(more);
            match next {
                Some(next) if batches.len() < MAX_BATCHES && after.as_ref() != Some(&next) => {
                    after = Some(next);
                }
                Some(_) | None => break,
            }
        }
        batches.sort_by_key(|batch| std::cmp::Reverse(batch.created()));
        batches.truncate(MAX_BATCHES);
        let known = batches.into_iter().map(|batch| (batch.id.clone(), batch)).collect();
        Ok(self.json(page(query, known, |batch| batch.write(&self.jobs, None))))
    }
}

/// What a query asks for of things that are known by their ids.
fn page<T>(query: &str, known: Vec<(String, T)>, shown: impl Fn(T) -> Bytes) -> Bytes {
    let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
    let get = |wanted| pairs().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let limit = get("limit").and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let behind = match get("after") {
        Some(after) => {
            known.iter().position(|(id, _)| id == after).map_or(known.len(), |at| at + 1)
        }
        None => 0,
    };
    let has_more = known.len() - behind > limit;
    let page = known.into_iter().skip(behind).take(limit);
    let page: Vec<Bytes> = page.map(|(_, thing)| shown(thing)).collect();
    jobs::list(&page, has_more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_the_last_thing_that_the_client_has() {
        let known = || ["a", "b", "c"].map(|id| (id.to_owned(), id)).to_vec();
        let shown = |id: &str| Bytes::from(format!("{{\"id\":\"{id}\"}}"));
        for (query, data, has_more) in [
            ("", r#"{"id":"a"},{"id":"b"},{"id":"c"}"#, false),
            ("limit=1&purpose=batch", r#"{"id":"a"}"#, true),
            ("limit=2&after=a", r#"{"id":"b"},{"id":"c"}"#, false),
            ("after=gone", "", false),
        ] {
            let expected = format!(r#"{{"object":"list","data":[{data}],"has_more":{has_more}}}"#);
            assert_eq!(page(query, known(), shown), expected, "{query}");
        }
    }
}
