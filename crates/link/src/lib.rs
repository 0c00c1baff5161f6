//! A container's network interface, made where it is needed.
//!
//! An interface is a pair of virtual Ethernet devices (veth(4)): one end on a bridge of the host, the
//! other, `eth0`, in the container's network namespace. libvirt makes both on the host and moves one,
//! and for a moved device the kernel waits out a grace period of RCU, 14 to 19 ms of every start.
//! Here the second end is made in the container's network at once.
//!
//! [`plug()`] makes the pair and gives `eth0` its address and default route, by rtnetlink(7): the host's
//! end over a socket of its own, the container's over one that the container's first process opened in
//! its network and handed out, so that nobody has to enter it. [`unplug()`] takes the pair away by the
//! name of the host's end, which comes from the sandbox's UUID ([`host_end`]).

mod plug;
mod rtnetlink;

pub use plug::{Error, Plug, host_end, plug, unplug};
