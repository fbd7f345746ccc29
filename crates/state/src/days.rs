//! What was used on which day, by whom and of what, settled: a row for each key that used a model on
//! a day, with whose it was, so that sums over keys, teams, users, organizations and models are of
//! the same requests; and apart from these, rows for each tag and each end user.
//!
//! Names are held once. They outlive what they name, so that a key that is gone is still told by its
//! last name. Nothing grows without a bound: old days are dropped, and what is too much for one day
//! counts under [`Symbol::OTHER`], never nowhere.

use std::ops::Range;
use std::sync::Arc;

use dunlin_types::UnixMillis;
use imbl::OrdMap;

use crate::command::{Day, DaySums, Facets, Kind, Totals, beginning};

/// Days kept, the present one included.
pub const DAYS_KEPT: u32 = 62;
/// Models counted separately for one key, or one tag of a key, on one day: clients may invent
/// names.
pub const MAX_MODELS_A_DAY: usize = 64;
/// Rows of keys on one day. Beyond it, the sums of teams and organizations stay exact.
pub const MAX_ROWS_A_DAY: usize = 50_000;
/// Rows of tags on one day, and as many of end users. Beyond it, those an admin made are told apart.
pub const MAX_LABELLED_ROWS_A_DAY: usize = 10_000;

/// A name in daily totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub(crate) u32);

impl Symbol {
    /// No name.
    pub const NONE: Self = Self(0);
    /// All that was too much to be told apart.
    pub const OTHER: Self = Self(1);
    const FIRST: Self = Self(2);
}

/// Which rows. Those of [`Book::Keys`] hold every request once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Book {
    /// By key and whose it is.
    Keys,
    /// By tag and key.
    Tags,
    /// By end user and key.
    EndUsers,
}

impl Book {
    fn of<T: Default + PartialEq>(facets: &Facets<T>) -> Self {
        if facets.end_user != T::default() {
            Self::EndUsers
        } else if facets.tag != T::default() {
            Self::Tags
        } else {
            Self::Keys
        }
    }

    fn most(self) -> usize {
        match self {
            Self::Keys => MAX_ROWS_A_DAY,
            Self::Tags | Self::EndUsers => MAX_LABELLED_ROWS_A_DAY,
        }
    }

    /// The rows of each book lie together.
    fn range(self) -> Range<Facets<Symbol>> {
        let first_tag = Facets { tag: Symbol::OTHER, ..Facets::default() };
        let first_end_user = Facets { end_user: Symbol::OTHER, ..Facets::default() };
        match self {
            Self::Keys => Facets::default()..first_tag,
            Self::Tags => first_tag..first_end_user,
            Self::EndUsers => {
                first_end_user..Facets { end_user: Symbol(u32::MAX), ..Facets::default() }
            }
        }
    }
}

/// The daily totals. A clone is a few pointers.
#[derive(Clone, Debug, Default)]
pub struct Days {
    pub(crate) names: Names,
    pub(crate) days: OrdMap<Day, Rows>,
    /// The last aliases of what is gone; keys have no kind.
    pub(crate) aliases: OrdMap<(Option<Kind>, Symbol), Arc<str>>,
}

/// One day.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: OrdMap<Facets<Symbol>, Totals>,
    /// Of each book.
    counts: [usize; 3],
}

/// Every name that a row has, and the last day on which one did.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) by_symbol: OrdMap<Symbol, (Arc<str>, Day)>,
    by_text: OrdMap<Arc<str>, Symbol>,
    /// Not yet given to a name.
    pub(crate) next: Symbol,
}

impl Default for Names {
    fn default() -> Self {
        Self { by_symbol: OrdMap::new(), by_text: OrdMap::new(), next: Symbol::FIRST }
    }
}

impl Days {
    /// The rows of a book from one day to another, both included, in the order of the days.
    pub fn rows(
        &self,
        book: Book,
        from: Day,
        to: Day,
    ) -> impl Iterator<Item = (Day, &Facets<Symbol>, &Totals)> {
        let days = (from <= to).then(|| self.days.range(from..=to)).into_iter().flatten();
        days.flat_map(move |(day, rows)| {
            rows.rows.range(book.range()).map(|(of, totals)| (*day, of, totals))
        })
    }

    /// What a row calls something; `None` for no name.
    #[must_use]
    pub fn name(&self, symbol: Symbol) -> Option<&str> {
        match symbol {
            Symbol::NONE => None,
            Symbol::OTHER => Some("other"),
            symbol => self.names.by_symbol.get(&symbol).map(|(name, _)| name.as_ref()),
        }
    }

    /// How rows call a name, if any has it.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<Symbol> {
        self.names.find(beginning(name))
    }

    /// The alias that something had when it was deleted; `None` as kind is a key's.
    #[must_use]
    pub fn last_alias(&self, kind: Option<Kind>, symbol: Symbol) -> Option<&str> {
        self.aliases.get(&(kind, symbol)).map(AsRef::as_ref)
    }

    /// Adds what was used, at the time `at`, and drops the days that are over by then. What claims to
    /// be of a day to come is of the present one; what is of a dropped day is not counted any more.
    /// `is_made`: whether an admin made the tag or end user with that name.
    pub(crate) fn add(
        &mut self,
        sums: &DaySums,
        at: UnixMillis,
        is_made: impl Fn(Kind, &str) -> bool,
    ) {
        let today = Day::of(at);
        let oldest = Day((today.0 + 1).saturating_sub(DAYS_KEPT));
        self.forget_before(oldest);
        let mut stretch = Stretch {
            texts: sums.names(),
            known: sums.names().iter().map(|name| self.names.find(name)).collect(),
        };
        for (day, of, totals) in sums.rows().filter(|(day, ..)| *day >= oldest) {
            let day = day.min(today);
            let row = self.row(day, &of, &mut stretch, &is_made);
            let rows = self.days.entry(day).or_default();
            match rows.rows.get_mut(&row) {
                Some(sum) => sum.add(totals),
                None => rows.insert(row, *totals),
            }
        }
    }

    /// The row that counts what is said to be of `of`: its own, if it is there or there is room.
    fn row(
        &mut self,
        day: Day,
        of: &Facets<u32>,
        stretch: &mut Stretch<'_>,
        is_made: &impl Fn(Kind, &str) -> bool,
    ) -> Facets<Symbol> {
        let mut all_known = true;
        let known = of.map(|place| {
            let symbol = stretch.known(place);
            all_known &= symbol.is_some();
            symbol.unwrap_or(Symbol(u32::MAX))
        });
        let rows = self.days.get(&day);
        if all_known && rows.is_some_and(|rows| rows.rows.contains_key(&known)) {
            return known;
        }
        let book = Book::of(of);
        let room = rows.is_none_or(|rows| rows.counts[book as usize] < book.most());
        let is_known = rows.is_none_or(|rows| rows.tells_apart(&known));
        let labelled =
            |kind, place| room || stretch.text(place).is_some_and(|it| is_made(kind, it));
        let (end_user, tag) = (labelled(Kind::EndUser, of.end_user), labelled(Kind::Tag, of.tag));
        let model = room && is_known;
        let mut put = |kept: bool, place: u32| match stretch.text(place) {
            None => Symbol::NONE,
            Some(_) if !kept => Symbol::OTHER,
            Some(_) => stretch.intern(place, day, &mut self.names),
        };
        Facets {
            end_user: put(end_user, of.end_user),
            tag: put(tag, of.tag),
            key: put(room, of.key),
            team: put(true, of.team),
            user: put(room, of.user),
            organization: put(true, of.organization),
            group: put(model, of.group),
            model: put(model, of.model),
            provider: put(model, of.provider),
            call: put(model, of.call),
        }
    }

    /// Something that has a name is deleted: its alias is told for as long as its rows are there.
    pub(crate) fn part_with(&mut self, kind: Option<Kind>, name: &str, alias: Option<&str>) {
        if let (Some(symbol), Some(alias)) = (self.symbol(name), alias) {
            self.aliases.insert((kind, symbol), beginning(alias).into());
        }
    }

    /// What had one name has another from now on, and in all that was.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        self.names.rename(from, to);
    }

    fn forget_before(&mut self, oldest: Day) {
        let mut dropped = false;
        while let Some((day, _)) = self.days.get_min().filter(|(day, _)| *day < oldest) {
            let day = *day;
            self.days.remove(&day);
            dropped = true;
        }
        if dropped {
            self.names.forget_before(oldest);
            let known = |symbol| self.names.by_symbol.contains_key(symbol);
            let aliases = self.aliases.iter().filter(|((_, symbol), _)| known(symbol));
            self.aliases = aliases.map(|(of, alias)| (*of, Arc::clone(alias))).collect();
        }
    }
}

impl Rows {
    pub(crate) fn insert(&mut self, row: Facets<Symbol>, totals: Totals) {
        self.counts[Book::of(&row) as usize] += 1;
        self.rows.insert(row, totals);
    }

    /// Whether a row's model is counted separately for the row's owner: it already is, or there is
    /// room. The total of the model, and of the owner, is complete either way.
    fn tells_apart(&self, row: &Facets<Symbol>) -> bool {
        let none = Symbol::NONE;
        let whose = |row: &Facets<Symbol>| Facets {
            group: none,
            model: none,
            provider: none,
            call: none,
            ..*row
        };
        let first = whose(row);
        let theirs = self.rows.range(first..).map(|(other, _)| other);
        let theirs = theirs.take_while(|other| whose(other) == first);
        let mut models = 0;
        let mut last = None;
        for model in theirs.map(|other| (other.group, other.model)) {
            if model == (row.group, row.model) {
                return true;
            }
            // Those of one model stand together.
            models += usize::from(last.replace(model) != Some(model));
        }
        models < MAX_MODELS_A_DAY
    }
}

impl Names {
    fn find(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    fn intern(&mut self, text: &str, day: Day) -> Symbol {
        let Some(symbol) = self.find(text) else {
            let symbol = self.next;
            self.next = Symbol(symbol.0.checked_add(1).expect("names are given out slowly"));
            self.put(symbol, text.into(), day);
            return symbol;
        };
        let (_, last) = self.by_symbol.get_mut(&symbol).expect("both maps have it");
        *last = day.max(*last);
        symbol
    }

    pub(crate) fn put(&mut self, symbol: Symbol, text: Arc<str>, day: Day) {
        self.by_text.insert(Arc::clone(&text), symbol);
        self.by_symbol.insert(symbol, (text, day));
    }

    fn rename(&mut self, from: &str, to: &str) {
        if self.find(to).is_some() {
            return;
        }
        if let Some(symbol) = self.by_text.remove(from) {
            let (_, day) = self.by_symbol.get(&symbol).expect("both maps have it").clone();
            self.put(symbol, to.into(), day);
        }
    }

    fn forget_before(&mut self, oldest: Day) {
        let all = std::mem::take(self);
        self.next = all.next;
        for (symbol, (text, last)) in all.by_symbol {
            if last >= oldest {
                self.put(symbol, text, last);
            }
        }
    }
}

/// The names of a stretch, and the symbols of those that have one by now.
struct Stretch<'a> {
    texts: &'a [String],
    known: Vec<Option<Symbol>>,
}

impl Stretch<'_> {
    fn text(&self, place: u32) -> Option<&str> {
        let place = usize::try_from(place).ok()?.checked_sub(1)?;
        self.texts.get(place).map(String::as_str)
    }

    /// `None`: it has a name that no row has.
    fn known(&self, place: u32) -> Option<Symbol> {
        if self.text(place).is_none() { Some(Symbol::NONE) } else { self.known[place as usize - 1] }
    }

    fn intern(&mut self, place: u32, day: Day, names: &mut Names) -> Symbol {
        let at = place as usize - 1;
        let symbol = names.intern(&self.texts[at], day);
        self.known[at] = Some(symbol);
        symbol
    }
}

#[cfg(test)]
mod tests;
