//! `var`, `missing` and `missing_some`: reading the data.

use std::cmp::Ordering;

use super::budget::Failure;
use super::evaluate::{Evaluated, Evaluator};
use super::operand::{Items, MAX_WALK_DEPTH, Operand};
use super::path::{Path, Segment};
use super::tree::Node;

impl Evaluator {
    pub(super) fn var<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let [key, default] = self.kept(operands, data)?;
        let found = self.follow(&key, data)?;
        Ok(found.unwrap_or_else(|| or_null(Some(default))))
    }

    /// The value at a computed path.
    fn follow<'v>(&self, key: &Operand<'v>, data: &Operand<'v>) -> Result<Option<Operand<'v>>, Failure> {
        match key {
            Operand::Undefined | Operand::Null => Ok(Some(data.clone())),
            Operand::Str(text) => self.follow_text(text, Path::new, data),
            // No property has a lone surrogate in its name: keys that are not text are left out of a context.
            _ => match key.text(&self.budget)? {
                Some(text) if key.is_text() => self.follow_text(&text, Path::new, data),
                Some(text) => self.follow_text(&text, Path::converted, data),
                None => Ok(None),
            },
        }
    }

    fn follow_text<'v>(
        &self,
        text: &str,
        path: fn(&str) -> Path,
        data: &Operand<'v>,
    ) -> Result<Option<Operand<'v>>, Failure> {
        // At most one segment per byte of the text.
        self.budget.make(text.len().saturating_mul(size_of::<Segment>()))?;
        path(text).follow(data, &self.budget)
    }

    pub(super) fn missing<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let keys = self.all(operands, data)?;
        self.missing_of(keys, data)
    }

    /// Those of `keys` whose value is null or ""; if the first key is an array, those of its elements.
    fn missing_of<'v>(&self, keys: Vec<Operand<'v>>, data: &Operand<'v>) -> Evaluated<'v> {
        let listed = keys.first().and_then(Operand::items).map(|items| items.iter().collect());
        let mut missing: Vec<Operand<'v>> = listed.unwrap_or(keys);
        let mut failure = Ok(());
        missing.retain(|key| {
            let is_missing = self.is_missing(key, data);
            is_missing.unwrap_or_else(|error| {
                failure = Err(error);
                false
            })
        });
        failure?;
        Operand::list(missing, &self.budget)
    }

    /// json-logic-js evaluates `{"var": key}` here, so an array is a path and a default.
    fn is_missing<'v>(&self, key: &Operand<'v>, data: &Operand<'v>) -> Result<bool, Failure> {
        self.inert(key)?;
        let (path, default) = match key.items() {
            Some(items) => (items.get(0).unwrap_or(Operand::Undefined), items.get(1)),
            None => (key.clone(), None),
        };
        let found = self.follow(&path, data)?.unwrap_or_else(|| or_null(default));
        Ok(matches!(found, Operand::Null) || (found.is_text() && !found.truthy()))
    }

    /// Refuses what json-logic-js would run as a rule here: data is never run.
    fn inert(&self, operand: &Operand<'_>) -> Result<(), Failure> {
        self.inert_within(operand, 0)
    }

    fn inert_within(&self, operand: &Operand<'_>, depth: u32) -> Result<(), Failure> {
        self.budget.spend(1)?;
        match operand {
            Operand::Object(object) if object.len() == 1 => Err(Failure::UnknownOperator),
            _ if depth == MAX_WALK_DEPTH => Err(Failure::Exhausted),
            _ => operand
                .items()
                .iter()
                .flat_map(Items::iter)
                .try_for_each(|item| self.inert_within(&item, depth + 1)),
        }
    }

    pub(super) fn missing_some<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let [needed, options] = self.kept(operands, data)?;
        self.inert(&options)?;
        let keys = match options.items() {
            Some(items) => items.iter().collect(),
            None => vec![options.clone()],
        };
        let missing = self.missing_of(keys, data)?;
        if matches!(options, Operand::Undefined | Operand::Null) {
            return Err(Failure::NotConvertible);
        }
        let length = Path::new("length").follow(&options, &self.budget)?.unwrap_or(Operand::Undefined);
        let count = missing.items().map_or(0, |items| items.len()) as f64;
        let present = Operand::Number(length.number(&self.budget)? - count);
        if present.compare(&needed, &self.budget)?.is_some_and(Ordering::is_ge) {
            return Operand::list(Vec::new(), &self.budget);
        }
        Ok(missing)
    }
}

/// The default of `var`.
fn or_null(default: Option<Operand<'_>>) -> Operand<'_> {
    match default {
        None | Some(Operand::Undefined) => Operand::Null,
        Some(default) => default,
    }
}
