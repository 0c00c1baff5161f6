//! The moment of the first HTTP 200.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A connection that is not there after this time is tried anew: what was sent before the other
/// side was on the network is lost, and the kernel would send it again only after a second.
const ATTEMPT: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(1);
/// How long a server that took the connection may think.
const ANSWER: Duration = Duration::from_secs(10);
/// A service that has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks an address until it answers with 200; `check` ends the wait with an error.
pub(crate) fn first(address: Ipv4Addr, mut check: impl FnMut() -> Result<()>) -> Result<Instant> {
    let begin = Instant::now();
    loop {
        if asks(address).unwrap_or(false) {
            return Ok(Instant::now());
        }
        check()?;
        if begin.elapsed() > PATIENCE {
            bail!("{address} never answered with HTTP 200");
        }
        std::thread::sleep(PAUSE);
    }
}

fn asks(address: Ipv4Addr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, 80)), ATTEMPT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(head.ends_with(b" 200"))
}

/// Lets the kernel look for an address on a link at once and often: it asks once a second, and a
/// question from before the other side was there would add up to a second to a figure.
pub(crate) fn look_often(link: &str) -> Result<()> {
    let path = format!("/proc/sys/net/ipv4/neigh/{link}/retrans_time_ms");
    Ok(std::fs::write(path, "2")?)
}
