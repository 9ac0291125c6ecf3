//! Writing a form.

use std::borrow::Cow;
use std::fmt;

use super::layout::{DIGITS, LENGTH_DIGITS, LONG, VERSION, tag};
use super::raw::Raw;

/// A text or container of 4 GiB, whose length a form cannot hold.
#[derive(Debug)]
pub(crate) struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("longer than 4 GiB")
    }
}

impl From<TooLong> for Cow<'static, str> {
    fn from(error: TooLong) -> Self {
        error.to_string().into()
    }
}

/// The members of an object, written one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

/// A container that is being written: where its length is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open(usize);

/// The most bytes of a tag and two lengths.
const MOST_HEAD: usize = 1 + 2 * (1 + LENGTH_DIGITS);

impl Writer {
    /// Writes a context.
    pub(crate) fn context(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(VERSION);
        Writer { bytes }
    }

    /// Makes room for so many bytes.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The members of the object that is the only value.
    pub(crate) fn members(&self) -> &[u8] {
        // Behind the tag and the length.
        self.bytes.get(2 + LENGTH_DIGITS..).unwrap_or_default()
    }

    /// Appends members that another writer wrote.
    pub(crate) fn append(&mut self, members: &[u8]) {
        self.bytes.extend_from_slice(members);
    }

    pub(crate) fn null(&mut self, key: Option<&str>) -> Result<(), TooLong> {
        self.head(tag::NULL, key)
    }

    pub(crate) fn boolean(&mut self, key: Option<&str>, value: bool) -> Result<(), TooLong> {
        self.head(if value { tag::TRUE } else { tag::FALSE }, key)
    }

    pub(crate) fn signed(&mut self, key: Option<&str>, value: i64) -> Result<(), TooLong> {
        self.number(tag::INT64, key, value as u64)
    }

    pub(crate) fn unsigned(&mut self, key: Option<&str>, value: u64) -> Result<(), TooLong> {
        self.number(tag::UINT64, key, value)
    }

    pub(crate) fn double(&mut self, key: Option<&str>, value: f64) -> Result<(), TooLong> {
        self.number(tag::DOUBLE, key, value.to_bits())
    }

    pub(crate) fn string(&mut self, key: Option<&str>, value: &str) -> Result<(), TooLong> {
        // At most once for the whole member.
        self.bytes.reserve(key.map_or(0, str::len) + value.len() + MOST_HEAD);
        self.head(tag::STRING, key)?;
        self.counted(value.as_bytes())
    }

    pub(crate) fn unusable(&mut self, key: Option<&str>, why: &str) -> Result<(), TooLong> {
        self.head(tag::UNUSABLE, key)?;
        self.counted(why.as_bytes())
    }

    /// A value of another form.
    pub(crate) fn raw(&mut self, key: Option<&str>, value: Raw<'_>) -> Result<(), TooLong> {
        let (tag, content) = value.bytes();
        self.head(tag, key)?;
        self.bytes.extend_from_slice(content);
        Ok(())
    }

    pub(crate) fn open_object(&mut self, key: Option<&str>) -> Result<Open, TooLong> {
        self.open(tag::OBJECT, key)
    }

    pub(crate) fn open_array(&mut self, key: Option<&str>) -> Result<Open, TooLong> {
        self.open(tag::ARRAY, key)
    }

    fn open(&mut self, tag: u8, key: Option<&str>) -> Result<Open, TooLong> {
        self.head(tag, key)?;
        // Which length it will have is not known yet, so it gets the long one.
        self.bytes.push(LONG);
        self.bytes.extend_from_slice(&[0; LENGTH_DIGITS]);
        Ok(Open(self.bytes.len()))
    }

    /// Ends the container that was opened last.
    pub(crate) fn close(&mut self, open: Open) -> Result<(), TooLong> {
        let length = length(self.bytes.len() - open.0)?;
        if let Some(place) = self.bytes.get_mut(open.0 - LENGTH_DIGITS..open.0) {
            place.copy_from_slice(&length);
        }
        Ok(())
    }

    #[inline]
    fn head(&mut self, tag: u8, key: Option<&str>) -> Result<(), TooLong> {
        let Some(key) = key else {
            self.bytes.push(tag);
            return Ok(());
        };
        match u8::try_from(key.len()) {
            Ok(length) if length < LONG => {
                self.bytes.extend_from_slice(&[tag, length]);
                self.bytes.extend_from_slice(key.as_bytes());
                Ok(())
            }
            _ => {
                self.bytes.push(tag);
                self.counted(key.as_bytes())
            }
        }
    }

    #[inline]
    fn number(&mut self, tag: u8, key: Option<&str>, value: u64) -> Result<(), TooLong> {
        self.head(tag, key)?;
        self.bytes.extend_from_slice(&digits::<DIGITS>(value));
        Ok(())
    }

    #[inline]
    fn counted(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        match u8::try_from(bytes.len()) {
            Ok(length) if length < LONG => self.bytes.push(length),
            _ => {
                let length = length(bytes.len())?;
                self.bytes.push(LONG);
                self.bytes.extend_from_slice(&length);
            }
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn length(bytes: usize) -> Result<[u8; LENGTH_DIGITS], TooLong> {
    u32::try_from(bytes).map(|length| digits(length.into())).map_err(|_| TooLong)
}

#[inline(always)]
fn digits<const N: usize>(number: u64) -> [u8; N] {
    std::array::from_fn(|at| (number >> (7 * at)) as u8 & 0x7f)
}
