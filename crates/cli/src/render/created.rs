//! What `create` made, in the words of the ancestor (libvirt-sandbox 0.6.0), which scripts know.

use std::io::{self, Write};

use vss_manager::outcome::CreateOutcome;

/// Writes the three lines, and one for `--enable`.
pub(crate) fn text(out: &mut impl Write, created: &CreateOutcome) -> io::Result<()> {
    writeln!(out, "Created sandbox container dir {}", created.content)?;
    writeln!(out, "Created sandbox config {}", created.config)?;
    writeln!(out, "Created unit file {}", created.unit_file)?;
    if created.enabled {
        writeln!(out, "Enabled {}", created.host_unit)?;
    }
    Ok(())
}

/// What a test shows.
#[cfg(test)]
pub(crate) fn sample() -> CreateOutcome {
    use vss_model::{Confinement, Uuid};

    let path = |text: &str| text.parse().unwrap();
    CreateOutcome {
        name: "web1".parse().unwrap(),
        uuid: Uuid::nil(),
        content: path("/var/lib/libvirt/filesystems/web1"),
        config: path("/etc/libvirt-sandbox/services/web1.sandbox"),
        unit_file: path("/etc/systemd/system/apache2@web1.service"),
        host_unit: "apache2@web1.service".parse().unwrap(),
        label: "system_u:system_r:container_t:s0:c1,c2".parse().unwrap(),
        confinement: Confinement::Reduced,
        bytes: 1,
        files: 1,
        enabled: false,
        started: false,
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_ancestor() {
        let mut created = sample();
        let shown = |created: &CreateOutcome| {
            let mut out = Vec::new();
            text(&mut out, created).unwrap();
            String::from_utf8(out).unwrap()
        };
        let three = shown(&created);
        assert_eq!(
            three,
            "Created sandbox container dir /var/lib/libvirt/filesystems/web1\n\
             Created sandbox config /etc/libvirt-sandbox/services/web1.sandbox\n\
             Created unit file /etc/systemd/system/apache2@web1.service\n"
        );
        created.enabled = true;
        assert_eq!(
            shown(&created).strip_prefix(&three),
            Some("Enabled apache2@web1.service\n")
        );
    }
}
