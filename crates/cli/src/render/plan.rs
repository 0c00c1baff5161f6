//! The plan as an administrator reads it: every path, then label, host unit and domain.

use std::io::{self, Write};

use anstyle::Style;
use vss_manager::{MEMORY_UNLIMITED_KIB, PlanEntry, SandboxPlan};
use vss_model::{Disposition, DomainSpec, Filesystem, Sanitized};

use super::bytes;
use super::table::{self, Cell};

const HEADING: Style = Style::new().bold();

/// The groups of paths, in the order in which they are shown.
const GROUPS: [(&str, &str); 4] = [
    ("share", "Shared with the host, read-only"),
    ("copy", "Copied: the container's own"),
    ("generate", "Made for this container"),
    ("mask", "Kept out of the container"),
];

/// Writes a plan.
pub(crate) fn text(out: &mut impl Write, plan: &SandboxPlan) -> io::Result<()> {
    summary(out, plan)?;
    for (word, title) in GROUPS {
        let of_group = |e: &&PlanEntry| e.disposition.word() == word;
        let rows: Vec<_> = plan.root.entries.iter().filter(of_group).map(row).collect();
        if !rows.is_empty() {
            heading(out, title)?;
            table::write(out, ["PATH", "FATE", "SIZE", "BECAUSE"], &rows, true)?;
        }
    }
    if !plan.skipped.is_empty() {
        heading(out, "Named and left out")?;
        for skipped in &plan.skipped {
            writeln!(
                out,
                "{}  {}",
                skipped.path,
                Sanitized::text(&skipped.reason)
            )?;
        }
    }
    heading(out, "Label")?;
    writeln!(out, "processes  {}", plan.config.label)?;
    writeln!(out, "content    {}", plan.config.file_label)?;
    heading(out, &format!("Host unit {}", plan.config.host_unit))?;
    for line in plan.unit.to_string().lines() {
        writeln!(out, "{}", Sanitized::text(line))?;
    }
    heading(out, "Domain")?;
    domain(out, &plan.domain)
}

fn heading(out: &mut impl Write, title: &str) -> io::Result<()> {
    writeln!(out, "\n{HEADING}{}{HEADING:#}", Sanitized::text(title))
}

fn summary(out: &mut impl Write, plan: &SandboxPlan) -> io::Result<()> {
    let config = &plan.config;
    let names = |names: Vec<String>| names.join(" ");
    let units = names(plan.units.iter().map(ToString::to_string).collect());
    let packages = plan.packages.iter().map(|p| p.name.to_string());
    let own = || plan.root.entries.iter().filter(|e| is_own(e));
    let size: u64 = own().filter_map(|e| e.bytes).sum();
    let files: u64 = own().filter_map(|e| e.files).sum();
    writeln!(out, "Container  {}", config.name)?;
    writeln!(out, "Units      {units}")?;
    let mut label = "Packages   ";
    for line in wrapped(packages) {
        writeln!(out, "{label}{line}")?;
        label = "           ";
    }
    writeln!(out, "Content    {}", config.content)?;
    writeln!(out, "To copy    {} in {files} files", bytes(size))?;
    let confinement = config.confinement;
    let private = config.private_users.is_some();
    let summary = confinement.summary(private);
    writeln!(out, "Confined   {confinement}: {summary}")?;
    if let Some(users) = config.private_users {
        let (first, last, most) = (users.base(), users.last(), users.count() - 1);
        writeln!(
            out,
            "Users      0-{most} inside are {first}-{last} of the host, who own nothing else; set-user-id programs"
        )?;
        writeln!(
            out,
            "           of /usr and capabilities of its files count for nothing inside"
        )?;
    }
    match &config.network {
        Some(net) => writeln!(
            out,
            "Network    {}, {}/{}",
            Sanitized::text(&net.network),
            net.address,
            net.prefix
        ),
        None => writeln!(out, "Network    loopback only"),
    }
}

/// Words in lines of about 85 characters.
fn wrapped(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&word),
            Some(line) if line.len() + word.len() < 85 => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

fn row(entry: &PlanEntry) -> [Cell; 4] {
    let because = entry.causes.first().map(ToString::to_string);
    [
        Cell::from(entry.path.to_string()),
        entry.disposition.word().into(),
        Cell::or_dash(entry.bytes.filter(|_| is_own(entry)).map(bytes)),
        Cell::or_dash(because),
    ]
}

/// Whether the size is one that the container's own files take.
fn is_own(entry: &PlanEntry) -> bool {
    !matches!(
        entry.disposition,
        Disposition::Share | Disposition::Mask { .. }
    )
}

fn domain(out: &mut impl Write, domain: &DomainSpec) -> io::Result<()> {
    let shown = |text: &str| Sanitized::text(text).to_string();
    let mut rows: Vec<[Cell; 2]> = vec![
        ["name".into(), domain.name.as_str().into()],
        ["uuid".into(), domain.uuid.to_string().into()],
        ["init".into(), shown(&init(domain)).into()],
        ["memory".into(), memory(domain.memory_kib).into()],
    ];
    for filesystem in &domain.filesystems {
        let (target, from) = match filesystem {
            Filesystem::Bind {
                source,
                target,
                readonly,
            } => {
                let access = if *readonly { "read-only" } else { "writable" };
                (target, format!("{source}, {access}"))
            }
            Filesystem::Ram { target, size } => (target, format!("in memory, {}", bytes(*size))),
        };
        rows.push([format!("mount {target}").into(), from.into()]);
    }
    for interface in &domain.interfaces {
        let text = format!(
            "{} on {}, {}/{} via {}, {}",
            shown(&interface.device),
            shown(&interface.network),
            interface.address,
            interface.prefix,
            interface.gateway,
            interface.mac
        );
        rows.push(["interface".into(), text.into()]);
    }
    table::write(out, ["", ""], &rows, false)
}

fn memory(kib: u64) -> String {
    if kib >= MEMORY_UNLIMITED_KIB {
        "not limited".to_owned()
    } else {
        bytes(kib.saturating_mul(1024))
    }
}

fn init(domain: &DomainSpec) -> String {
    let mut words = vec![domain.init.to_string()];
    words.extend(domain.init_args.iter().cloned());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use vss_manager::{CreateRequest, PlannedPackage, RootPlan, Skipped};
    use vss_model::sandbox::Timeouts;
    use vss_model::{
        Cause, Confinement, CopyScope, Generated, MaskKind, SandboxConfig, UnitFile, Uuid,
    };

    use super::*;

    fn entry(path: &str, disposition: Disposition, cause: Cause, bytes: Option<u64>) -> PlanEntry {
        PlanEntry {
            path: path.parse().unwrap(),
            disposition,
            causes: vec![cause],
            bytes,
            files: bytes.map(|_| 2),
        }
    }

    fn plan() -> SandboxPlan {
        let name: vss_model::SandboxName = "web1".parse().unwrap();
        let unit: vss_model::UnitName = "apache2.service".parse().unwrap();
        let content: vss_model::AbsPath = "/var/lib/libvirt/filesystems/web1".parse().unwrap();
        let usr: vss_model::AbsPath = "/usr".parse().unwrap();
        let baseline = || Cause::Baseline {
            why: "any container".into(),
        };
        let whole = Cause::WholeDirectory {
            directory: "/etc/apache2".parse().unwrap(),
            owners: vec!["apache2".into()],
        };
        let entries = vec![
            entry(
                "/etc/apache2",
                Disposition::Copy {
                    scope: CopyScope::Tree,
                },
                whole,
                Some(2048),
            ),
            entry(
                "/etc/machine-id",
                Disposition::Generate {
                    what: Generated::MachineId,
                },
                baseline(),
                None,
            ),
            entry(
                "/etc/shadow\u{1b}",
                Disposition::Mask {
                    how: MaskKind::Absent,
                },
                Cause::Denied {
                    pattern: "/etc/shadow".into(),
                    why: "password hashes".into(),
                },
                None,
            ),
            entry("/usr", Disposition::Share, baseline(), Some(1 << 30)),
        ];
        SandboxPlan {
            request: CreateRequest::new(name.clone(), vec![unit.clone()]),
            root: RootPlan { entries },
            config: SandboxConfig {
                name: name.clone(),
                uuid: Uuid::nil(),
                units: vec![unit.clone()],
                content: content.clone(),
                host_unit: "apache2@web1.service".parse().unwrap(),
                confinement: Confinement::None,
                private_users: None,
                label: "system_u:system_r:container_t:s0:c1,c2".parse().unwrap(),
                file_label: "system_u:object_r:container_file_t:s0:c1,c2"
                    .parse()
                    .unwrap(),
                network: None,
                shared: Vec::new(),
                writable: Vec::new(),
                tmpfs: Vec::new(),
                timeouts: Timeouts::default(),
            },
            unit: UnitFile::new(&[]).section("Unit", &[("Description", "web1")]),
            domain: DomainSpec {
                name,
                uuid: Uuid::nil(),
                init: "/usr/libexec/virt-sandbox-init".parse().unwrap(),
                init_args: vec!["--".into()],
                init_env: Vec::new(),
                memory_kib: 1 << 20,
                filesystems: vec![
                    Filesystem::Bind {
                        source: usr.clone(),
                        target: usr,
                        readonly: true,
                    },
                    Filesystem::Ram {
                        target: "/run".parse().unwrap(),
                        size: 1 << 24,
                    },
                ],
                interfaces: Vec::new(),
                private_users: None,
                label: None,
            },
            units: vec![unit],
            packages: vec![PlannedPackage {
                name: "apache2".into(),
                version: "2.4".into(),
            }],
            skipped: vec![Skipped {
                path: "/etc/x.sock".parse().unwrap(),
                reason: "a socket".into(),
            }],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a40_a_plan_is_grouped_and_harmless() {
        let mut out = anstream::StripStream::new(Vec::new());
        text(&mut out, &plan()).unwrap();
        snapbox::assert_data_eq!(
            String::from_utf8(out.into_inner()).unwrap(),
            snapbox::file!["plan.txt"].raw()
        );
    }

    #[test]
    fn json_is_the_plan_itself() {
        let mut out = Vec::new();
        super::super::json(&mut out, &plan()).unwrap();
        let back: SandboxPlan = serde_json::from_slice(&out).unwrap();
        assert_eq!(back, plan());
    }
}
