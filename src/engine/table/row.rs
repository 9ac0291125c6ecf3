//! A row as the context of one flag: only what the flag reads.

use std::borrow::Cow;
use std::fmt::Write;

use arrow_buffer::NullBuffer;

use super::column::{Column, Faults};
use super::plan::{Plan, Property};
use crate::engine::bucket::Subject;
use crate::engine::context::{ReadContext, Scalar, Unusable, User};
use crate::engine::definitions::Flag;
use crate::engine::identity::{CUSTOM_PROPERTIES, DISTINCT_ID, Identity};
use crate::engine::rules::Properties;
use crate::engine::rules::text::Folded;
use crate::engine::rules::value::{Object, Value};
use crate::json::sort_and_dedup;

/// What a flag reads of a table.
#[derive(Debug)]
pub(super) struct Reads {
    /// The sources of its subject; the last that is not null counts.
    subject: Box<[usize]>,
    /// Those of the user, if they are needed.
    user: Box<[usize]>,
    properties: Vec<Read>,
    /// Maps, whose members replace the properties above.
    maps: Vec<usize>,
}

/// A property, whose last source that counts is read.
#[derive(Debug)]
struct Read {
    name: Box<str>,
    /// The place among the flag's names. A flag that may read any property has none.
    at: usize,
    sources: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    source: usize,
    /// It counts only if these are null.
    unless: Box<[usize]>,
}

impl Reads {
    pub(super) fn new(plan: &Plan, flag: &Flag, reports: bool) -> Self {
        let (mut properties, mut maps): (Vec<Read>, _) = (Vec::new(), Vec::new());
        let has_rules = flag.rollouts.iter().any(|rollout| rollout.condition.is_some());
        for property in plan.properties.iter().filter(|_| has_rules) {
            let (name, source, unless) = match property {
                Property::Members(source) => {
                    maps.push(*source);
                    continue;
                }
                Property::Named(name, source, unless) => (name, *source, unless.clone()),
            };
            let at = match &flag.properties {
                Properties::All => Some(0),
                Properties::Only(names) => Properties::find(names, name),
            };
            let Some(at) = at else { continue };
            let candidate = Candidate { source, unless };
            match properties.iter_mut().find(|known| known.name == *name) {
                Some(known) => known.sources.push(candidate),
                None => properties.push(Read { name: name.clone(), at, sources: vec![candidate] }),
            }
        }
        let needs_user = reports || !flag.testers.is_empty();
        Reads {
            subject: plan.attribute(&flag.context),
            user: if needs_user { plan.attribute(DISTINCT_ID) } else { Box::default() },
            properties,
            maps,
        }
    }

    /// Every source that is read.
    pub(super) fn sources(&self) -> impl Iterator<Item = usize> {
        let candidates = self.properties.iter().flat_map(|read| &read.sources);
        let of_properties =
            candidates.flat_map(|candidate| std::iter::once(&candidate.source).chain(&*candidate.unless));
        self.subject.iter().chain(&*self.user).chain(of_properties).chain(&self.maps).copied()
    }
}

/// A row at a time.
pub(super) struct Row<'s> {
    flag: &'s Flag,
    reads: &'s Reads,
    columns: &'s [Option<Column>],
    /// Of the columns that are `custom_properties`; `None` if they are an object in every row.
    objects: Option<&'s [Option<NullBuffer>]>,
    subject: Text<'s>,
    /// The text of a subject that is not a string.
    made: String,
    user: Option<User<'s>>,
    /// The value of each of the flag's names.
    values: Vec<Option<Value<'s>>>,
    /// The properties of a flag that may read any.
    pairs: Vec<(Cow<'s, str>, Value<'s>)>,
    is_object: bool,
    faults: Faults,
    unusable: Vec<Unusable>,
}

enum Text<'s> {
    None,
    Given(&'s str),
    Made,
}

impl<'s> Row<'s> {
    pub(super) fn new(
        flag: &'s Flag,
        reads: &'s Reads,
        columns: &'s [Option<Column>],
        objects: Option<&'s [Option<NullBuffer>]>,
    ) -> Self {
        let names = match &flag.properties {
            Properties::Only(names) => names.len(),
            Properties::All => 0,
        };
        Row {
            flag,
            reads,
            columns,
            objects,
            subject: Text::None,
            made: String::new(),
            user: None,
            values: std::iter::repeat_with(|| None).take(names).collect(),
            pairs: Vec::new(),
            is_object: objects.is_none(),
            faults: Faults::default(),
            unusable: Vec::new(),
        }
    }

    /// Goes to a row.
    #[inline]
    pub(super) fn enter(&mut self, row: usize) {
        if !self.unusable.is_empty() {
            self.unusable.clear();
        }
        self.enter_subject(row);
        if !self.reads.user.is_empty() {
            let scalar = self.attribute(&self.reads.user, row, DISTINCT_ID);
            self.user = scalar.and_then(|scalar| scalar.user());
        }
        if let Some(objects) = self.objects {
            self.is_object =
                objects.iter().any(|nulls| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)));
        }
        if !self.reads.properties.is_empty() {
            self.enter_properties(row);
        }
    }

    #[inline]
    fn enter_subject(&mut self, row: usize) {
        let scalar = self.attribute(&self.reads.subject, row, &self.flag.context);
        self.subject = match scalar {
            Some(Scalar::String(Cow::Borrowed(text))) if !text.is_empty() => Text::Given(text),
            Some(Scalar::Signed(number)) => self.make(number),
            Some(Scalar::Unsigned(number)) => self.make(number),
            Some(other) => match other.text() {
                Some(text) => self.make(text),
                None => Text::None,
            },
            None => Text::None,
        };
    }

    /// Keeps the text in memory that every row uses.
    fn make(&mut self, text: impl std::fmt::Display) -> Text<'s> {
        self.made.clear();
        match write!(self.made, "{text}") {
            Ok(()) => Text::Made,
            Err(_) => Text::None,
        }
    }

    fn column(&self, source: usize) -> Option<&'s Column> {
        self.columns.get(source)?.as_ref()
    }

    fn is_null(&self, source: usize, row: usize) -> bool {
        self.column(source).is_none_or(|column| column.is_null(row))
    }

    #[inline]
    fn attribute(&mut self, sources: &'s [usize], row: usize, key: &str) -> Option<Scalar<'s>> {
        let source = sources.iter().rev().find(|source| !self.is_null(**source, row))?;
        let scalar = self.column(*source)?.scalar(row, &mut self.faults);
        if !self.faults.is_empty() {
            self.faults.take(&[key], &mut self.unusable);
        }
        scalar
    }

    #[inline]
    fn enter_properties(&mut self, row: usize) {
        let (reads, any) = (self.reads, matches!(self.flag.properties, Properties::All));
        self.pairs.clear();
        if !reads.maps.is_empty() {
            // Otherwise every value that there may be is replaced below.
            self.values.iter_mut().for_each(|value| *value = None);
        }
        for Read { name, at, sources } in &reads.properties {
            let counts = |candidate: &&Candidate| {
                !self.is_null(candidate.source, row)
                    && candidate.unless.iter().all(|source| self.is_null(*source, row))
            };
            let column =
                sources.iter().rev().find(counts).and_then(|candidate| self.column(candidate.source));
            let value = column.and_then(|column| column.value(row, &mut self.faults));
            if !self.faults.is_empty() {
                self.faults.take(&[CUSTOM_PROPERTIES, name], &mut self.unusable);
            }
            if any {
                self.pairs.extend(value.map(|value| (Cow::Borrowed(&**name), value)));
            } else if let Some(place) = self.values.get_mut(*at) {
                *place = value;
            }
        }
        if !reads.maps.is_empty() {
            self.enter_maps(row);
        }
        sort_and_dedup(&mut self.pairs);
    }

    fn enter_maps(&mut self, row: usize) {
        for source in &self.reads.maps {
            let Some(column) = self.column(*source) else { continue };
            let mut faults = Faults::default();
            column.members(row, &mut faults, |name, value| {
                let name = Folded::new(Cow::Borrowed(name)).into_cow();
                if !self.unusable.is_empty() {
                    // Of equal keys the later counts.
                    self.unusable.retain(|unusable| {
                        unusable.key() != CUSTOM_PROPERTIES
                            || unusable.within().first().is_none_or(|n| **n != *name)
                    });
                }
                match &self.flag.properties {
                    Properties::All => self.pairs.push((name, value)),
                    Properties::Only(names) => {
                        let place = Properties::find(names, &name).and_then(|at| self.values.get_mut(at));
                        if let Some(place) = place {
                            *place = Some(value);
                        }
                    }
                }
            });
            if !faults.is_empty() {
                faults.take(&[CUSTOM_PROPERTIES], &mut self.unusable);
            }
        }
    }
}

impl ReadContext for Row<'_> {
    /// Called with the flag's own key, or with `targetingKey` for a message that no table has.
    fn subject(&self, key: &str) -> Option<Subject<'_>> {
        match self.subject {
            _ if *key != *self.flag.context => None,
            Text::None => None,
            Text::Given(text) => Some(Subject::new(text, None)),
            Text::Made => Some(Subject::new(&self.made, None)),
        }
    }

    fn user(&self) -> Option<&Identity<'_>> {
        self.user.as_ref().map(|user| &user.identity)
    }

    fn tester(&self) -> Option<&str> {
        self.user.as_ref()?.tester()
    }

    fn properties(&self) -> Option<Object<'_>> {
        self.is_object.then(|| match &self.flag.properties {
            Properties::Only(names) => Object::of_names(names, &self.values),
            Properties::All => Object::of_sorted(&self.pairs),
        })
    }

    fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }
}
