//! Compressing what is sent.

use std::sync::Mutex;

use flate2::{Compress, CompressError, Compression, Crc, FlushCompress, Status};

use crate::sys::lock::lock;

/// Writes gzip. Keeps the compressor, because setting up its 270 kB takes as long as compressing a batch.
#[derive(Debug, Default)]
pub(super) struct Gzip {
    idle: Mutex<Option<Compress>>,
}

/// No name, no time, the fastest level, an unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

impl Gzip {
    pub(super) fn compress(&self, body: &[u8]) -> Result<Vec<u8>, CompressError> {
        let idle = { lock(&self.idle).take() };
        // The fastest level: a batch shrinks to a tenth at every level.
        let mut compress = idle.unwrap_or_else(|| Compress::new(Compression::fast(), false));
        let mut out = Vec::with_capacity(body.len() / 4 + 64);
        out.extend_from_slice(&HEADER);
        loop {
            let done = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
            let rest = body.get(done..).unwrap_or_default();
            if compress.compress_vec(rest, &mut out, FlushCompress::Finish)? == Status::StreamEnd {
                break;
            }
            out.reserve(body.len() / 4 + 64);
        }
        let mut sum = Crc::new();
        sum.update(body);
        out.extend_from_slice(&sum.sum().to_le_bytes());
        out.extend_from_slice(&sum.amount().to_le_bytes());
        compress.reset();
        *lock(&self.idle) = Some(compress);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_read_is_what_was_written() {
        let gzip = Gzip::default();
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let noise: Vec<u8> = (0..300_000).map(|_| noise()).collect();
        for body in [b"".as_slice(), b"a", &[b'x'; 100_000], &noise, b"again"] {
            let mut read = Vec::new();
            let written = gzip.compress(body).unwrap();
            flate2::read::GzDecoder::new(&*written).read_to_end(&mut read).unwrap();
            assert!(read == body, "{} bytes", body.len());
        }
    }
}
