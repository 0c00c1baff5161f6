//! systemd-nspawn, booting the very same root with the same kind of network: a bridge, a veth pair
//! and a static address.

use std::net::Ipv4Addr;

use anyhow::Result;
use rustix::process::Signal;

use crate::create::CONTENT;
use crate::program::{Running, run};

const BRIDGE: &str = "bench0";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

const NETNS: &str = "bench";

/// The root and the bridge, ready for a boot.
#[derive(Debug)]
pub(crate) struct Nspawn {
    root: String,
    content: String,
}

impl Nspawn {
    /// The content of a sandbox as a root. The host's /usr is mounted in it beforehand:
    /// systemd-nspawn looks for its os-release before it mounts anything itself.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let root = crate::state_dir().join("nspawn").display().to_string();
        let content = format!("{CONTENT}/{name}");
        std::fs::create_dir_all(&root)?;
        run(&["mount", "--bind", &content, &root])?;
        run(&[
            "mount",
            "--bind",
            "-o",
            "ro",
            "/usr",
            &format!("{root}/usr"),
        ])?;
        run(&[
            "ip",
            "link",
            "add",
            BRIDGE,
            "type",
            "bridge",
            "forward_delay",
            "0",
        ])?;
        run(&["ip", "address", "add", "192.0.2.1/24", "dev", BRIDGE])?;
        run(&["ip", "link", "set", BRIDGE, "up"])?;
        crate::answer::look_often(BRIDGE)?;
        Ok(Self { root, content })
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        ADDRESS
    }

    /// Makes the network, as libvirt does in the time of a start too, and boots.
    pub(crate) fn boot(&self) -> Result<Running> {
        run(&["ip", "netns", "add", NETNS])?;
        let pair = "ip link add vbench master bench0 up type veth \
                    peer name eth0 address 02:00:00:00:00:02 netns bench";
        run(&pair.split_whitespace().collect::<Vec<_>>())?;
        let address = "ip -n bench address add 192.0.2.2/24 dev eth0";
        run(&address.split_whitespace().collect::<Vec<_>>())?;
        run(&["ip", "-n", NETNS, "link", "set", "eth0", "up"])?;
        let bind = |dir: &str| format!("--bind={}/{dir}:/{dir}", self.content);
        Running::start(&[
            "systemd-nspawn",
            "--quiet",
            "--keep-unit",
            "--register=no",
            "--machine=bench",
            "--network-namespace-path=/run/netns/bench",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
            "--read-only",
            &format!("--directory={}", self.root),
            &bind("etc"),
            &bind("var"),
            &bind("root"),
            "--boot",
        ])
    }

    /// Ends what was booted, and its network. Asked twice, systemd-nspawn does not wait for what is
    /// inside, which on cgroup v1 may never end by itself.
    pub(crate) fn end(&self, running: Running) -> Result<()> {
        running.stop(Signal::TERM)?;
        run(&["ip", "link", "delete", "vbench"])?;
        run(&["ip", "netns", "delete", NETNS]).map(drop)
    }

    /// Takes the root and the bridge away.
    pub(crate) fn remove(self) -> Result<()> {
        run(&["ip", "link", "delete", BRIDGE])?;
        run(&["umount", "--recursive", &self.root]).map(drop)
    }
}
