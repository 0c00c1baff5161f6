//! Copying the bytes of a file.

use std::fmt::Write;

use rustix::fd::OwnedFd;
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::lock;
use super::worker::{BUFFER, Worker};
use crate::metadata::Metadata;

/// How much the kernel is asked to copy at once: so long a cancelled copy goes on.
const STRETCH: u64 = 16 * 1024 * 1024;

/// Why the bytes could not be copied.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    Read(Errno),
    Write(Errno),
    Cancelled,
}

/// Copies the bytes of a file into an empty one, up to the length that it had when it was looked
/// at: blocks are shared where the file systems can, holes stay holes. Gives back the SHA-256 of
/// the bytes where it is wanted; then each byte is read once all the same.
pub(super) fn transfer(
    worker: &mut Worker<'_>,
    source: &OwnedFd,
    target: &OwnedFd,
    metadata: &Metadata,
    hash: bool,
) -> Result<Option<String>, Fault> {
    let mut hasher = hash.then(Sha256::new);
    if metadata.size > 0 {
        if share_blocks(worker, source, target, metadata) {
            // the source may have changed since it was looked at, and after this: the length counts
            // that is reported, and the bytes of the target
            rustix::fs::ftruncate(target, metadata.size).map_err(Fault::Write)?;
            let whole = Stretch {
                start: 0,
                end: metadata.size,
            };
            match &mut hasher {
                Some(hasher) => whole.read(worker, target, &mut |bytes, _| {
                    hasher.update(bytes);
                    Ok(())
                })?,
                None => worker.count(metadata.size),
            }
        } else {
            copy_stretches(worker, source, target, metadata, hasher.as_mut())?;
        }
    }
    worker.report.bytes += metadata.size;
    Ok(hasher.map(hex))
}

/// A digest as the manifest has it.
pub(super) fn hex(hasher: Sha256) -> String {
    hasher
        .finalize()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // writing to a String does not fail
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Has the file system share the source's blocks with the target; false where it cannot.
fn share_blocks(
    worker: &Worker<'_>,
    source: &OwnedFd,
    target: &OwnedFd,
    metadata: &Metadata,
) -> bool {
    let unclonable = &worker.copying.unclonable;
    if lock(unclonable).contains(&metadata.dev) {
        return false;
    }
    match rustix::fs::ioctl_ficlone(target, source) {
        Ok(()) => true,
        Err(e) => {
            // other errors may be this file's alone
            if matches!(
                e,
                Errno::OPNOTSUPP | Errno::XDEV | Errno::NOTTY | Errno::NOSYS
            ) {
                lock(unclonable).insert(metadata.dev);
            }
            false
        }
    }
}

/// What is done with bytes that were read, and the offset that they stand at.
type Taker<'a> = dyn FnMut(&[u8], u64) -> Result<(), Fault> + 'a;

/// A part of a file.
#[derive(Clone, Copy)]
struct Stretch {
    start: u64,
    end: u64,
}

fn copy_stretches(
    worker: &mut Worker<'_>,
    source: &OwnedFd,
    target: &OwnedFd,
    metadata: &Metadata,
    mut hasher: Option<&mut Sha256>,
) -> Result<(), Fault> {
    let size = metadata.size;
    let sparse = metadata.allocated < size;
    let mut done = 0;
    while done < size {
        let data = if sparse {
            next_data(source, done, size).map_err(Fault::Read)?
        } else {
            Stretch {
                start: done,
                end: size,
            }
        };
        if let Some(hasher) = hasher.as_deref_mut() {
            hash_hole(worker, hasher, data.start - done)?;
        }
        worker.count(data.start - done);
        match hasher.as_deref_mut() {
            Some(hasher) => data.read(worker, source, &mut |bytes, at| {
                hasher.update(bytes);
                write_at(target, bytes, at)
            })?,
            None => data.copy(worker, source, target)?,
        }
        done = data.end;
    }
    if sparse {
        // a hole at the end is made by the length alone
        rustix::fs::ftruncate(target, size).map_err(Fault::Write)?;
    }
    Ok(())
}

/// The next part of a file that has data, from an offset on; an empty part at the end where only a
/// hole follows.
fn next_data(source: &OwnedFd, from: u64, size: u64) -> Result<Stretch, Errno> {
    let start = match rustix::fs::seek(source, SeekFrom::Data(from)) {
        Ok(start) => start.min(size),
        Err(Errno::NXIO) => size,
        // a file system without holes
        Err(Errno::INVAL | Errno::OPNOTSUPP) => {
            return Ok(Stretch {
                start: from,
                end: size,
            });
        }
        Err(e) => return Err(e),
    };
    if start == size {
        return Ok(Stretch { start, end: size });
    }
    match rustix::fs::seek(source, SeekFrom::Hole(start)) {
        Ok(end) if end > start => Ok(Stretch {
            start,
            end: end.min(size),
        }),
        // cut off right here meanwhile
        Ok(_) | Err(Errno::NXIO) => Ok(Stretch {
            start: size,
            end: size,
        }),
        Err(e) => Err(e),
    }
}

fn hash_hole(worker: &Worker<'_>, hasher: &mut Sha256, length: u64) -> Result<(), Fault> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut left = length;
    while left > 0 {
        worker.check()?;
        let count = left.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..usize::try_from(count).unwrap_or(ZEROS.len())]);
        left -= count;
    }
    Ok(())
}

fn write_at(target: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<(), Fault> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(target, bytes, at) {
            Ok(0) => return Err(Fault::Write(Errno::NOSPC)),
            Ok(count) => {
                bytes = &bytes[count..];
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(Fault::Write(e)),
        }
    }
    Ok(())
}

impl Stretch {
    /// Reads it piece by piece; ends early where the file has become shorter.
    fn read(
        self,
        worker: &mut Worker<'_>,
        file: &OwnedFd,
        take: &mut Taker<'_>,
    ) -> Result<(), Fault> {
        let mut at = self.start;
        while at < self.end {
            worker.check()?;
            let most = (self.end - at).min(BUFFER as u64);
            let most = usize::try_from(most).unwrap_or(BUFFER);
            let count = match rustix::io::pread(file, &mut worker.buffer[..most], at) {
                Ok(0) => break,
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(e) => return Err(Fault::Read(e)),
            };
            take(&worker.buffer[..count], at)?;
            at += count as u64;
            worker.count(count as u64);
        }
        Ok(())
    }

    /// Copies it: a long one within the kernel, a short one, and what the kernel would not copy,
    /// through memory.
    fn copy(
        self,
        worker: &mut Worker<'_>,
        source: &OwnedFd,
        target: &OwnedFd,
    ) -> Result<(), Fault> {
        let mut at = self.start;
        while self.end - at > BUFFER as u64 {
            worker.check()?;
            let (mut read, mut written) = (at, at);
            let most = usize::try_from((self.end - at).min(STRETCH)).unwrap_or(BUFFER);
            match rustix::fs::copy_file_range(
                source,
                Some(&mut read),
                target,
                Some(&mut written),
                most,
            ) {
                Ok(0) => break,
                Ok(count) => {
                    at += count as u64;
                    worker.count(count as u64);
                }
                Err(e @ (Errno::NOSPC | Errno::DQUOT)) => return Err(Fault::Write(e)),
                // what it is shows when the bytes go through memory
                Err(_) => break,
            }
        }
        Self { start: at, ..self }
            .read(worker, source, &mut |bytes, at| write_at(target, bytes, at))
    }
}

impl Worker<'_> {
    fn count(&self, bytes: u64) {
        self.copying.options.progress.advanced(0, bytes);
    }

    fn check(&self) -> Result<(), Fault> {
        self.go_on().map_err(|_| Fault::Cancelled)
    }
}
