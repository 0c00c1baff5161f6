//! What systemd's private socket needs before zbus can read from it.
//!
//! On `/run/systemd/private` systemd gives its messages a sender, `org.freedesktop.systemd1`. That
//! is a well-known name, where the D-Bus specification ("Message Format", field `SENDER`) has a
//! unique one, and zbus refuses the message. So what systemd says passes through here: the field is
//! made one that nobody reads, so that the message has no sender, as is right between two peers
//! without a bus. (With a sender that it did not expect, zbus would keep signals from whoever
//! waits for them.) What is no message, or one beyond [`MAX_MESSAGE`], ends the connection: the
//! peer may be hostile.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// The most bytes of a message. A unit's properties have a few thousand.
const MAX_MESSAGE: usize = 1024 * 1024;

/// The most bytes of a line of the handshake.
const MAX_LINE: u64 = 4096;

/// The part of a message before its header fields.
const FIXED: usize = 16;

const WELL_KNOWN: &[u8] = b"org.freedesktop.systemd1";
/// Codes of header fields.
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;

/// A stream on which the peer's messages have no sender that zbus refuses. Two threads serve it until
/// either end is closed.
///
/// # Errors
/// Where there are no descriptors or threads left.
pub(crate) fn through(peer: UnixStream) -> io::Result<UnixStream> {
    let (near, far) = UnixStream::pair()?;
    let (mut peer_out, mut near_in) = (peer.try_clone()?, near.try_clone()?);
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let builder = std::thread::Builder::new().name(name.to_owned());
        builder.spawn(work).map(drop)
    };
    spawn(
        "systemd-out",
        Box::new(move || {
            // an end or an error of either side ends both
            let _ = io::copy(&mut near_in, &mut peer_out);
            let _ = peer_out.shutdown(Shutdown::Both);
        }),
    )?;
    spawn(
        "systemd-in",
        Box::new(move || {
            let _ = relay(&mut BufReader::new(&peer), &mut &near);
            let _ = near.shutdown(Shutdown::Both);
            let _ = peer.shutdown(Shutdown::Both);
        }),
    )?;
    Ok(far)
}

/// Passes on the lines of the handshake and the messages after them, until the end of `from`.
fn relay(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    loop {
        match from.fill_buf()?.first() {
            None => return Ok(()),
            // no word of the handshake begins like the byte order of a message
            Some(b'l' | b'B') => {
                let message = message(from)?;
                to.write_all(&message)?;
            }
            Some(_) => {
                let mut line = Vec::new();
                from.take(MAX_LINE).read_until(b'\n', &mut line)?;
                to.write_all(&line)?;
            }
        }
    }
}

/// Reads one message and mends its sender.
fn message(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; FIXED];
    from.read_exact(&mut bytes)?;
    let little = bytes[0] == b'l';
    let number = |at: usize| {
        let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let number = if little {
            u32::from_le_bytes(four)
        } else {
            u32::from_be_bytes(four)
        };
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let (body, fields) = (number(4), number(12));
    if body.saturating_add(fields) > MAX_MESSAGE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a message beyond all measure",
        ));
    }
    let header = FIXED + fields.next_multiple_of(8);
    bytes.resize(header + body, 0);
    from.read_exact(&mut bytes[FIXED..])?;
    mend_sender(&mut bytes[FIXED..header], little);
    Ok(bytes)
}

/// Makes the sender among header fields a destination, which counts for nothing without a bus. A
/// field is a struct of its code, the signature `s`, and the name with its length in front.
fn mend_sender(fields: &mut [u8], little: bool) {
    let length = u32::try_from(WELL_KNOWN.len()).unwrap_or_default();
    let length = if little {
        length.to_le_bytes()
    } else {
        length.to_be_bytes()
    };
    let field = [&[SENDER, 1, b's', 0][..], &length, WELL_KNOWN].concat();
    let found = fields
        .chunks(8)
        .enumerate()
        .map(|(n, _)| n * 8)
        .find(|&at| fields[at..].starts_with(&field));
    if let Some(at) = found {
        fields[at] = DESTINATION;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A method return as systemd 252 sends it: serial, sender, reply serial, no body.
    fn reply(body: &[u8]) -> Vec<u8> {
        let mut fields = vec![5, 1, b'u', 0, 1, 0, 0, 0];
        fields.extend([7, 1, b's', 0, 24, 0, 0, 0]);
        fields.extend(WELL_KNOWN);
        fields.push(0);
        let mut message = vec![b'l', 2, 1, 1];
        message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        message.extend(1u32.to_le_bytes());
        message.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
        fields.resize(fields.len().next_multiple_of(8), 0);
        message.extend(fields);
        message.extend(body);
        message
    }

    #[test]
    fn the_sender_is_mended_and_nothing_else() {
        let said = [
            b"OK 0123\r\nAGREE_UNIX_FD\r\n".to_vec(),
            reply(WELL_KNOWN),
            reply(b""),
        ]
        .concat();
        let mut heard = Vec::new();
        relay(&mut said.as_slice(), &mut heard).unwrap();
        assert_eq!(heard.len(), said.len());
        let changed: Vec<_> = said
            .iter()
            .zip(&heard)
            .filter(|(before, after)| before != after)
            .collect();
        // one in each message, and not the name in the body
        assert_eq!(changed, [(&SENDER, &DESTINATION); 2]);
    }

    #[test]
    fn a46_a_message_beyond_all_measure_ends_the_connection() {
        let mut said = reply(b"");
        said[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(relay(&mut said.as_slice(), &mut Vec::new()).is_err());
        assert!(relay(&mut &reply(b"")[..20], &mut Vec::new()).is_err());
    }
}
