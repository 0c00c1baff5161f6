//! Units that systemd-sysv-generator(8) makes of init scripts.

use std::path::Path;

use vss_model::{AbsPath, UnitName};

use crate::error::Result;
use crate::files::join;
use crate::sysv::{self, Header};

use super::{Finder, Found};

impl Finder {
    /// The init scripts that units are made of.
    pub(super) fn scripts(&self) -> Result<Vec<String>> {
        let (Ok(directory), Ok(generator)) = (
            sysv::SCRIPTS.parse::<AbsPath>(),
            sysv::GENERATOR.parse::<AbsPath>(),
        ) else {
            return Ok(Vec::new());
        };
        if !self.files.exists(&generator)? {
            return Ok(Vec::new());
        }
        let mut scripts = self.files.list(&directory)?;
        let mut error = None;
        scripts.retain(|name| {
            if sysv::is_left_over(name) {
                return false;
            }
            join(&directory, name)
                .and_then(|path| self.files.is_program(&path))
                .unwrap_or_else(|e| {
                    error.get_or_insert(e);
                    false
                })
        });
        error.map_or(Ok(scripts), Err)
    }

    /// The init script of this name, or one that says it provides it.
    pub(super) fn find_script(&self, asked: &UnitName) -> Result<Option<Found>> {
        if asked.suffix() != "service" || asked.instance().is_some() || asked.is_template() {
            return Ok(None);
        }
        let scripts = self.scripts()?;
        let named = scripts
            .iter()
            .find(|s| sysv::unit_stem(s) == asked.prefix());
        if let Some(script) = named {
            return self.script(script, asked);
        }
        for script in &scripts {
            let Ok(name) = format!("{}.service", sysv::unit_stem(script)).parse::<UnitName>()
            else {
                continue;
            };
            if self.first(&name)?.is_none()
                && let Some(found) = self.script(script, asked)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The unit of a script, if it is or provides what was asked for.
    fn script(&self, script: &str, asked: &UnitName) -> Result<Option<Found>> {
        let stem = sysv::unit_stem(script);
        let fragment = join(&AbsPath::root(), Path::new(sysv::SCRIPTS).join(script))?;
        let (Ok(name), Some(bytes)) = (
            format!("{stem}.service").parse::<UnitName>(),
            self.files.read(&fragment)?,
        ) else {
            return Ok(None);
        };
        let header = Header::of(&bytes);
        let provides = header.provides.iter().any(|p| p == asked.prefix());
        Ok((name == *asked || provides).then(|| Found {
            generated: Some(header.unit(stem, &fragment.to_string())),
            name,
            fragment,
            masked: false,
        }))
    }
}
