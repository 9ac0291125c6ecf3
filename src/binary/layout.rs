//! The numbers of the form.

/// The first byte of a form.
pub(super) const VERSION: u8 = 1;
/// The empty context.
pub(crate) const EMPTY: &[u8] = &[VERSION];
/// Levels of nesting that can be read, the context included.
pub(crate) const MAX_LEVELS: u32 = 127;

/// Digits of a number, of seven bits each: a form is text, and is checked to be as a whole.
pub(super) const DIGITS: usize = 10;
/// Stands in place of a length of one byte before a length of so many digits.
pub(super) const LONG: u8 = 0x7f;
pub(super) const LENGTH_DIGITS: usize = 5;

/// The first byte of a value.
pub(super) mod tag {
    pub(crate) const NULL: u8 = 0;
    pub(crate) const FALSE: u8 = 1;
    pub(crate) const TRUE: u8 = 2;
    pub(crate) const INT64: u8 = 3;
    pub(crate) const UINT64: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const STRING: u8 = 6;
    pub(crate) const ARRAY: u8 = 7;
    pub(crate) const OBJECT: u8 = 8;
    pub(crate) const UNUSABLE: u8 = 9;
}
