//! Clients of services, in their own protocols.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a single answer may take. Far beyond what is expected, so that a busy machine does
/// not fail a test; a service that never answers does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a port of a container.
///
/// # Errors
/// As `connect(2)`.
pub fn connect(address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A page over HTTP/1.0: the status line and headers, and the body.
///
/// # Errors
/// Where the connection fails, or what comes is no HTTP.
pub fn page(address: Ipv4Addr, path: &str) -> io::Result<(String, String)> {
    let mut stream = connect(address, 80)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) => Ok((head.to_owned(), body.to_owned())),
        None => Err(io::Error::other(format!("no HTTP answer: {answer:?}"))),
    }
}
