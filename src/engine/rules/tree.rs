//! A compiled rule: a tree of operators.

use std::cmp::Ordering;

use crate::engine::rules::value::Value;

use super::path::Path;
use super::semver::Version;

/// A rule or a part of one.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    /// A scalar or an object: the same one each time it is evaluated.
    Literal(Value<'static>),
    /// An array of literals: a new array each time it is evaluated.
    Literals(Value<'static>),
    /// Any other array, also new each time.
    List(Box<[Node]>),
    Var(Box<Var>),
    Apply(Operator, Box<[Node]>),
    Semver(Box<Semver>),
    Datetime(Box<Datetime>),
    /// An error, but only if it is evaluated.
    Unknown(Box<str>),
}

/// `var` with a literal path and a literal default.
#[derive(Debug, PartialEq)]
pub(super) struct Var {
    pub(super) path: Path,
    pub(super) default: Value<'static>,
}

/// `semver_compare` with a literal; `target` is `None` if that is not a version.
#[derive(Debug, PartialEq)]
pub(super) struct Semver {
    pub(super) actual: Node,
    pub(super) symbol: Symbol,
    pub(super) target: Option<Version<Box<str>>>,
}

/// `datetime_compare` with a literal; `target` is `None` if that is not a time.
#[derive(Debug, PartialEq)]
pub(super) struct Datetime {
    pub(super) actual: Node,
    pub(super) symbol: Symbol,
    /// Seconds since 1970.
    pub(super) target: Option<i64>,
}

impl Node {
    /// The operands or elements.
    pub(super) fn parts(&self) -> &[Node] {
        match self {
            Node::List(nodes) | Node::Apply(_, nodes) => nodes,
            Node::Semver(compare) => std::slice::from_ref(&compare.actual),
            Node::Datetime(compare) => std::slice::from_ref(&compare.actual),
            Node::Literal(_) | Node::Literals(_) | Node::Var(_) | Node::Unknown(_) => &[],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Var,
    Missing,
    MissingSome,
    If,
    And,
    Or,
    Equal,
    StrictEqual,
    NotEqual,
    StrictNotEqual,
    Not,
    Truthy,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Max,
    Min,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Map,
    Reduce,
    Filter,
    All,
    None,
    Some,
    Merge,
    In,
    Cat,
    Substr,
    Log,
    SemverCompare,
    DatetimeCompare,
}

/// `if` has two names; explanations use the first.
const OPERATORS: [(&str, Operator); 37] = [
    ("var", Operator::Var),
    ("missing", Operator::Missing),
    ("missing_some", Operator::MissingSome),
    ("if", Operator::If),
    ("?:", Operator::If),
    ("and", Operator::And),
    ("or", Operator::Or),
    ("==", Operator::Equal),
    ("===", Operator::StrictEqual),
    ("!=", Operator::NotEqual),
    ("!==", Operator::StrictNotEqual),
    ("!", Operator::Not),
    ("!!", Operator::Truthy),
    (">", Operator::Greater),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    ("max", Operator::Max),
    ("min", Operator::Min),
    ("+", Operator::Add),
    ("-", Operator::Subtract),
    ("*", Operator::Multiply),
    ("/", Operator::Divide),
    ("%", Operator::Remainder),
    ("map", Operator::Map),
    ("reduce", Operator::Reduce),
    ("filter", Operator::Filter),
    ("all", Operator::All),
    ("none", Operator::None),
    ("some", Operator::Some),
    ("merge", Operator::Merge),
    ("in", Operator::In),
    ("cat", Operator::Cat),
    ("substr", Operator::Substr),
    ("log", Operator::Log),
    ("semver_compare", Operator::SemverCompare),
    ("datetime_compare", Operator::DatetimeCompare),
];

impl Operator {
    pub(super) fn named(name: &str) -> Option<Operator> {
        named(&OPERATORS, name)
    }

    pub(super) fn name(self) -> &'static str {
        name_of(&OPERATORS, self)
    }

    /// Whether the second operand is evaluated for each element of the first, instead of once for the data.
    pub(super) fn has_body(self) -> bool {
        matches!(
            self,
            Operator::Map
                | Operator::Reduce
                | Operator::Filter
                | Operator::All
                | Operator::None
                | Operator::Some
        )
    }
}

/// The second operand of `semver_compare` and `datetime_compare`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Symbol {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const SYMBOLS: [(&str, Symbol); 6] = [
    ("===", Symbol::Equal),
    ("!==", Symbol::NotEqual),
    ("<", Symbol::Less),
    ("<=", Symbol::LessOrEqual),
    (">", Symbol::Greater),
    (">=", Symbol::GreaterOrEqual),
];

impl Symbol {
    pub(super) fn named(name: &str) -> Option<Symbol> {
        named(&SYMBOLS, name)
    }

    pub(super) fn name(self) -> &'static str {
        name_of(&SYMBOLS, self)
    }

    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Symbol::Equal => order.is_eq(),
            Symbol::NotEqual => order.is_ne(),
            Symbol::Less => order.is_lt(),
            Symbol::LessOrEqual => order.is_le(),
            Symbol::Greater => order.is_gt(),
            Symbol::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, thing)| *thing)
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], thing: T) -> &'static str {
    table.iter().find(|(_, known)| *known == thing).map_or("", |(name, _)| name)
}
