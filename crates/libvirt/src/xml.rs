//! A domain as the XML that libvirt takes (<https://libvirt.org/formatdomain.html>).

use quick_xml::Writer;
use quick_xml::events::attributes::Attr;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use vss_model::{AbsPath, DomainSpec, Filesystem, IdRange, Interface, Sanitized};

/// The namespace of the element that marks a domain as this project's.
pub(crate) const NAMESPACE: &str = "urn:virt-sandbox:domain:1";

/// Why a domain can't be written as XML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// XML 1.0 has no way to write this character, escaped or not (§2.2).
    #[error("{what} {text:?} has a character that libvirt's XML cannot hold")]
    Character {
        /// What the text is.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// libvirt up to 9.0 at least does not escape an `<initenv>` that it writes into its own state
    /// file (`virDomainOSDefFormat`), which its controller then reads.
    #[error("the environment variable {0:?} has markup, which libvirt cannot hand on")]
    Environment(String),
    /// libvirt takes paths as UTF-8 only.
    #[error("the path {0} is not UTF-8, which libvirt demands")]
    NotUtf8(String),
    /// A size that is no whole number of KiB, the unit of libvirt's limits.
    #[error("the file system of {size} bytes on {target} is smaller than 1 KiB")]
    Size {
        /// Where it is mounted.
        target: AbsPath,
        /// Its size in bytes.
        size: u64,
    },
}

/// The domain XML of the LXC driver.
///
/// An interface with a bridge is the runner's to make, and the domain has a network of its own without
/// any.
///
/// The label is static and relabelling is off: the content was labelled once, by handle. Every
/// event that would have libvirt restart the domain destroys it, as the host unit decides on
/// restarts. A size in memory is rounded down to whole KiB.
///
/// # Errors
/// Where a text of the domain can't stand in XML.
pub fn domain_xml(spec: &DomainSpec) -> Result<String, XmlError> {
    let mut out = Xml(Writer::new_with_indent(Vec::new(), b' ', 2));
    out.element("domain", &[("type", "lxc")], |out| {
        out.text("name", spec.name.as_str())?;
        out.text("uuid", &spec.uuid.to_string())?;
        out.element("metadata", &[], |out| mark(out, spec))?;
        out.text_with("memory", &[("unit", "KiB")], &spec.memory_kib.to_string())?;
        if let Some(users) = spec.private_users {
            out.element("idmap", &[], |out| idmap(out, users))?;
        }
        out.element("os", &[], |out| boot(out, spec))?;
        if made_by_libvirt(spec).next().is_none() {
            // Without it, and without an interface, a container shares the host's network.
            out.element("features", &[], |out| out.empty("privnet", &[]))?;
        }
        for event in ["on_poweroff", "on_reboot", "on_crash"] {
            out.text(event, "destroy")?;
        }
        out.element("devices", &[], |out| devices(out, spec))?;
        label(out, spec)
    })?;
    let mut text = String::from_utf8_lossy(&out.0.into_inner()).into_owned();
    text.push('\n');
    Ok(text)
}

/// The element that marks a domain as this project's. It tells of the interfaces that libvirt does
/// not make, so that whoever asks libvirt who uses a network finds them.
fn mark(out: &mut Xml, spec: &DomainSpec) -> Result<(), XmlError> {
    let uuid = spec.uuid.to_string();
    let attributes = [
        ("xmlns:vss", NAMESPACE),
        ("name", spec.name.as_str()),
        ("uuid", &uuid),
    ];
    let mut others = spec.interfaces.iter().filter(|i| i.bridge.is_some());
    let Some(first) = others.next() else {
        return out.empty("vss:sandbox", &attributes);
    };
    out.element("vss:sandbox", &attributes, |out| {
        std::iter::once(first)
            .chain(others)
            .try_for_each(|interface| note(out, interface))
    })
}

fn note(out: &mut Xml, interface: &Interface) -> Result<(), XmlError> {
    out.empty(
        "vss:interface",
        &[
            ("device", &interface.device),
            ("network", &interface.network),
            ("bridge", interface.bridge.as_deref().unwrap_or_default()),
            ("mac", &interface.mac.to_string()),
            ("address", &interface.address.to_string()),
            ("prefix", &interface.prefix.to_string()),
            ("gateway", &interface.gateway.to_string()),
        ],
    )
}

fn made_by_libvirt(spec: &DomainSpec) -> impl Iterator<Item = &Interface> {
    spec.interfaces.iter().filter(|i| i.bridge.is_none())
}

/// User and group 0 inside, and all after it, for the same numbers on the host.
fn idmap(out: &mut Xml, users: IdRange) -> Result<(), XmlError> {
    let (target, count) = (users.base().to_string(), users.count().to_string());
    for kind in ["uid", "gid"] {
        out.empty(
            kind,
            &[("start", "0"), ("target", &target), ("count", &count)],
        )?;
    }
    Ok(())
}

fn boot(out: &mut Xml, spec: &DomainSpec) -> Result<(), XmlError> {
    out.text("type", "exe")?;
    out.text("init", path(&spec.init)?)?;
    for argument in &spec.init_args {
        out.text("initarg", argument)?;
    }
    for (name, value) in &spec.init_env {
        let markup = |c| matches!(c, '&' | '<' | '>' | '\'' | '"');
        if name.contains(markup) || value.contains(markup) {
            return Err(XmlError::Environment(Sanitized::text(name).to_string()));
        }
        out.text_with("initenv", &[("name", name)], value)?;
    }
    Ok(())
}

fn devices(out: &mut Xml, spec: &DomainSpec) -> Result<(), XmlError> {
    for filesystem in &spec.filesystems {
        mount(out, filesystem, spec.private_users.is_some())?;
    }
    for interface in made_by_libvirt(spec) {
        link(out, interface)?;
    }
    out.empty("console", &[("type", "pty")])
}

/// In a user namespace libvirt can't make a mount read-only that came from the host with other flags
/// (`nosuid` of `/run`): its way would take those away, which the kernel refuses (EPERM), and it goes
/// on without. There the init does it, before anything of the container runs.
fn mount(out: &mut Xml, filesystem: &Filesystem, private_users: bool) -> Result<(), XmlError> {
    match filesystem {
        Filesystem::Bind {
            source,
            target,
            readonly,
        } => {
            let attributes = [("type", "mount"), ("accessmode", "passthrough")];
            out.element("filesystem", &attributes, |out| {
                out.empty("source", &[("dir", path(source)?)])?;
                out.empty("target", &[("dir", path(target)?)])?;
                if *readonly && !private_users {
                    out.empty("readonly", &[])?;
                }
                Ok(())
            })
        }
        Filesystem::Ram { target, size } => {
            let usage = size / 1024;
            if usage == 0 {
                return Err(XmlError::Size {
                    target: target.clone(),
                    size: *size,
                });
            }
            let attributes = [("type", "ram"), ("accessmode", "passthrough")];
            out.element("filesystem", &attributes, |out| {
                out.empty("source", &[("usage", &usage.to_string()), ("units", "KiB")])?;
                out.empty("target", &[("dir", path(target)?)])
            })
        }
    }
}

fn link(out: &mut Xml, interface: &Interface) -> Result<(), XmlError> {
    let (address, gateway) = (interface.address.to_string(), interface.gateway.to_string());
    out.element("interface", &[("type", "network")], |out| {
        out.empty("mac", &[("address", &interface.mac.to_string())])?;
        out.empty("source", &[("network", &interface.network)])?;
        out.empty("guest", &[("dev", &interface.device)])?;
        out.empty(
            "ip",
            &[
                ("address", &address),
                ("family", "ipv4"),
                ("prefix", &interface.prefix.to_string()),
            ],
        )?;
        out.empty(
            "route",
            &[
                ("family", "ipv4"),
                ("address", "0.0.0.0"),
                ("prefix", "0"),
                ("gateway", &gateway),
            ],
        )?;
        if interface.isolated {
            out.empty("port", &[("isolated", "yes")])?;
        }
        Ok(())
    })
}

fn label(out: &mut Xml, spec: &DomainSpec) -> Result<(), XmlError> {
    let Some(label) = &spec.label else {
        return out.empty("seclabel", &[("type", "none")]);
    };
    let attributes = [("type", "static"), ("model", "selinux"), ("relabel", "no")];
    out.element("seclabel", &attributes, |out| {
        out.text("label", &label.to_string())
    })
}

fn path(path: &AbsPath) -> Result<&str, XmlError> {
    path.as_path()
        .to_str()
        .ok_or_else(|| XmlError::NotUtf8(path.to_string()))
}

/// The characters that XML 1.0 allows (§2.2, production 2).
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn checked<'t>(what: &'static str, text: &'t str) -> Result<&'t str, XmlError> {
    if text.chars().all(is_xml_char) {
        return Ok(text);
    }
    Err(XmlError::Character {
        what,
        text: Sanitized::text(text).to_string(),
    })
}

/// Text with everything escaped that a parser would change: markup, and line breaks and tabs, which
/// it turns into spaces in an attribute (§3.3.3) and a carriage return anywhere (§2.11).
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    out
}

/// The writer, with the checks in front of it. Writing to memory does not fail.
struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn event(&mut self, event: Event<'_>) {
        let written = self.0.write_event(event);
        debug_assert!(written.is_ok());
    }

    fn start<'n>(
        name: &'n str,
        attributes: &[(&'static str, &str)],
    ) -> Result<BytesStart<'n>, XmlError> {
        let mut start = BytesStart::new(name);
        for (key, value) in attributes {
            let value = escape(checked(key, value)?);
            // From a plain pair the writer would escape once more.
            start.push_attribute(Attr::DoubleQ(*key, value.as_str()));
        }
        Ok(start)
    }

    fn empty(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
    ) -> Result<(), XmlError> {
        let start = Self::start(name, attributes)?;
        self.event(Event::Empty(start));
        Ok(())
    }

    fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        inside: impl FnOnce(&mut Self) -> Result<(), XmlError>,
    ) -> Result<(), XmlError> {
        let start = Self::start(name, attributes)?;
        self.event(Event::Start(start));
        inside(self)?;
        self.event(Event::End(BytesEnd::new(name)));
        Ok(())
    }

    fn text(&mut self, name: &'static str, text: &str) -> Result<(), XmlError> {
        self.text_with(name, &[], text)
    }

    fn text_with(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        text: &str,
    ) -> Result<(), XmlError> {
        let text = escape(checked(name, text)?);
        self.element(name, attributes, |out| {
            out.event(Event::Text(BytesText::from_escaped(text)));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vss_model::Uuid;

    fn spec() -> DomainSpec {
        DomainSpec {
            name: "web1".parse().unwrap(),
            uuid: Uuid::from_u128(7),
            init: "/sbin/init".parse().unwrap(),
            init_args: vec![],
            init_env: vec![],
            memory_kib: 1,
            filesystems: vec![],
            interfaces: vec![],
            private_users: None,
            label: None,
        }
    }

    fn texts(spec: &DomainSpec, tag: &str) -> Vec<String> {
        let xml = domain_xml(spec).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        document
            .descendants()
            .filter(|n| n.has_tag_name(tag))
            .map(|n| n.text().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn a18_markup_in_a_text_stays_text() {
        let nasty =
            "& < > \" ' ]]> <!-- --> <![CDATA[ &lt; &#x41; </initarg><init>/bin/evil</init>";
        let spec = DomainSpec {
            init_args: vec![nasty.to_owned(), "a\nb\tc\rd".to_owned(), String::new()],
            ..spec()
        };
        assert_eq!(texts(&spec, "initarg"), [nasty, "a\nb\tc\rd", ""]);
        assert_eq!(texts(&spec, "init"), ["/sbin/init"]);
    }

    #[test]
    fn a18_markup_in_the_environment_is_refused() {
        let with = |name: &str, value: &str| DomainSpec {
            init_env: vec![(name.to_owned(), value.to_owned())],
            ..spec()
        };
        for (name, value) in [("A", "</initenv>"), ("A", "&"), ("A'", ""), ("A", "\"")] {
            let error = domain_xml(&with(name, value)).unwrap_err();
            assert!(matches!(error, XmlError::Environment(_)), "{error}");
        }
        assert_eq!(texts(&with("A", "b=c d"), "initenv"), ["b=c d"]);
    }

    #[test]
    fn a18_characters_that_xml_does_not_have_are_refused() {
        for bad in ["\0", "\u{1}", "\u{1b}[2J", "\u{fffe}", "a\u{8}"] {
            let spec = DomainSpec {
                init_args: vec![bad.to_owned()],
                ..spec()
            };
            let error = domain_xml(&spec).unwrap_err();
            assert!(
                matches!(
                    error,
                    XmlError::Character {
                        what: "initarg",
                        ..
                    }
                ),
                "{bad:?}: {error}"
            );
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn sizes_are_whole_kib() {
        let ram = |size| DomainSpec {
            filesystems: vec![Filesystem::Ram {
                target: "/run".parse().unwrap(),
                size,
            }],
            ..spec()
        };
        assert!(
            domain_xml(&ram(2047))
                .unwrap()
                .contains(r#"usage="1" units="KiB""#)
        );
        assert!(matches!(
            domain_xml(&ram(1023)),
            Err(XmlError::Size { size: 1023, .. })
        ));
    }

    proptest! {
        #[test]
        fn a18_any_text_comes_back_or_is_refused(text in any::<String>(), dir in "/\\PC{0,20}") {
            let Ok(dir) = dir.parse::<AbsPath>() else { return Ok(()) };
            let spec = DomainSpec {
                init_args: vec![text.clone()],
                filesystems: vec![Filesystem::Bind {
                    source: dir.clone(),
                    target: dir.clone(),
                    readonly: true,
                }],
                ..spec()
            };
            let Ok(xml) = domain_xml(&spec) else { return Ok(()) };
            let document = roxmltree::Document::parse(&xml).unwrap();
            let node = document.descendants().find(|n| n.has_tag_name("source")).unwrap();
            prop_assert_eq!(node.attribute("dir"), dir.as_path().to_str());
            let argument = document.descendants().find(|n| n.has_tag_name("initarg")).unwrap();
            prop_assert_eq!(argument.text().unwrap_or_default(), text);
        }
    }
}
