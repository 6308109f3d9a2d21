//! Files to publish.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aws_lc_rs::digest;
use data_encoding::HEXLOWER;

/// Two seconds of a test picture, 360 × 640, H.264: the smallest thing that every check takes.
const SAMPLE: &[u8] = include_bytes!("../../assets/sample.mp4");

/// Writes a playable MP4 of exactly `size` bytes, or of the sample's own size where that is more. It
/// is filled up with a `free` box, which players skip, of bytes that do not repeat.
pub fn write_mp4(path: &Path, size: u64) -> Result<PathBuf> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(SAMPLE)?;
    let fill = size.saturating_sub(SAMPLE.len() as u64);
    if fill >= 16 {
        file.write_all(&1u32.to_be_bytes())?;
        file.write_all(b"free")?;
        file.write_all(&fill.to_be_bytes())?;
        let mut left = fill - 16;
        let mut counter = 0u64;
        while left > 0 {
            let block = digest::digest(&digest::SHA256, &counter.to_be_bytes());
            let take = usize::try_from(left.min(32))?;
            file.write_all(&block.as_ref()[..take])?;
            left -= take as u64;
            counter += 1;
        }
    }
    file.flush()?;
    Ok(path.to_owned())
}

/// The SHA-256 of a file, hex.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file =
        std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(HEXLOWER.encode(context.finish().as_ref()));
        }
        context.update(&buffer[..read]);
    }
}
