//! Files of the definitions cache. The library accepts exactly what it would have written, and refuses every file in
//! which one byte has changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mpflags::fuzzing;

/// A file with this ETag and body: the format, the length, the checksum (FNV-1a of both, in 16 digits) and the ETag in
/// two lines, then the body.
fn file(etag: &[u8], body: &[u8]) -> Vec<u8> {
    let hash = etag.iter().chain(body).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    [format!("mpflags definitions 1\n{} {hash:016x} ", body.len()).as_bytes(), etag, b"\n", body].concat()
}

/// The ETag and the body of a file.
fn parts(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut lines = file.splitn(3, |byte| *byte == b'\n').skip(1);
    let (head, body) = (lines.next()?, lines.next()?);
    Some((head.splitn(3, |byte| *byte == b' ').nth(2)?, body))
}

fuzz_target!(|input: &[u8]| {
    // As a file.
    let want = parts(input).filter(|(etag, body)| str::from_utf8(etag).is_ok() && file(etag, body) == input);
    let want = want.map(|(etag, body)| {
        let etag = str::from_utf8(etag).unwrap().to_owned();
        (Some(etag).filter(|etag| !etag.is_empty()), body.to_vec())
    });
    assert_eq!(fuzzing::cached(input), want);

    // As the contents of one, and a change.
    let [at, flipped, ..] = input else { return };
    let contents = &input[2..];
    let (etag, body) = contents.split_at(contents.len().min(usize::from(*at) % 16));
    let etag = str::from_utf8(etag).ok();
    let mut written = fuzzing::cache_file(etag, body);
    // An ETag is one line.
    let etag: String = etag.unwrap_or_default().chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    assert_eq!(written, file(etag.as_bytes(), body));
    assert_eq!(fuzzing::cached(&written), Some((Some(etag).filter(|etag| !etag.is_empty()), body.to_vec())));
    let at = usize::from(*at) * 257 % written.len();
    written[at] ^= (*flipped).max(1);
    assert_eq!(fuzzing::cached(&written), None, "byte {at}");
    written[at] ^= (*flipped).max(1);
    written.truncate(at);
    assert_eq!(fuzzing::cached(&written), None, "cut at {at}");
});
