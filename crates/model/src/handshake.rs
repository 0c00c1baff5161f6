//! What the init of a container and its runner say to each other: before systemd begins, and when a
//! service has ended.

/// Where the host's directory with the runner's sockets is seen inside.
pub const DIRECTORY: &str = "/run/host";

/// The socket at which the runner listens for this, in that directory.
pub const SOCKET: &str = "network";

/// The init asks for its interface: a message that brings two descriptors, an rtnetlink socket of
/// the container's network and the writing end of a pipe for the answer.
pub const NETWORK: &str = "NETWORK=1";

/// The answer, one byte: the interface is there. A pipe that ends without it says that it will not be.
pub const CONNECTED: u8 = b'1';

/// Where the init, started inside once more, leaves how a service ended.
pub const REPORTS: &str = "/var/lib/virt-sandbox";

/// The file in that directory.
pub const REPORT: &str = "ended";
