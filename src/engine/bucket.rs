//! Bucketing: which hundredth of the users a subject falls into.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// An FNV-1a 64 state. The subject comes first in every hash, and the flag's key first in every salt, so both
/// are hashed once per evaluation and each salt continues from there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) const fn new() -> Self {
        Hash(OFFSET)
    }

    pub(crate) fn with(self, text: &str) -> Self {
        self.with_bytes(text.as_bytes())
    }

    pub(crate) fn with_bytes(self, bytes: &[u8]) -> Self {
        let step = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(PRIME);
        // Eight at a time, so that no step waits for the loop.
        let (mut state, mut rest) = (self.0, bytes);
        while let Some((eight, after)) = rest.split_first_chunk::<8>() {
            state = eight.iter().fold(state, step);
            rest = after;
        }
        Hash(rest.iter().fold(state, step))
    }

    pub(crate) fn state(self) -> u64 {
        self.0
    }

    /// The hundredth, 0 to 99.
    pub(crate) fn hundredth(self) -> u8 {
        (self.0 % 100) as u8
    }

    /// The hundredth as the fraction that percentages and splits are compared with.
    pub(crate) fn bucket(self) -> f64 {
        fraction(self.hundredth())
    }
}

/// The text that a flag buckets by. A context that is kept has its hash, too.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    text: &'a str,
    hash: Option<Hash>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(text: &'a str, hash: Option<Hash>) -> Self {
        Subject { text, hash }
    }

    pub(crate) fn text(self) -> &'a str {
        self.text
    }

    pub(crate) fn hash(self) -> Hash {
        self.hash.unwrap_or_else(|| Hash::new().with(self.text))
    }
}

/// `hundredth / 100`, rounded once, as in the official SDKs.
pub(crate) fn fraction(hundredth: u8) -> f64 {
    f64::from(hundredth) / 100.0
}

/// The bucket of `subject` under `salt`: FNV-1a 64 over the UTF-8 bytes of both, modulo 100, divided by 100.
/// A rollout's percentage admits a subject if it is greater than this. For checking by hand.
///
/// ```
/// assert_eq!(mpflags::bucket("abc", "variant"), 0.72);
/// assert_eq!(mpflags::bucket("def", "variant"), 0.21);
/// ```
pub fn bucket(subject: &str, salt: &str) -> f64 {
    Hash::new().with(subject).with(salt).bucket()
}
