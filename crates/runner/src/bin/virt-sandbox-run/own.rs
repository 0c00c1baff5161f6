//! That what the config names is this sandbox's own. A config may be edited, and an edited one could
//! name what is another's: two containers on one tree, or within reach of each other.

use vss_config::Store;
use vss_model::SandboxConfig;

use crate::error::Error;

/// Refuses a config that names another's content, label, address or users, and a sandbox that is half
/// made or half removed.
pub(crate) fn check(config: &SandboxConfig, store: &Store) -> Result<(), Error> {
    if let Some(journal) = store.journal(&config.name)? {
        return Err(Error::Unfinished {
            verb: journal.beginning().verb.clone(),
            name: config.name.clone(),
        });
    }
    let content = config.content.as_path();
    if let Err(error) = content.symlink_metadata()
        && error.kind() == std::io::ErrorKind::NotFound
    {
        return Err(Error::NoContent {
            path: content.to_owned(),
            name: config.name.clone(),
        });
    }
    let mark = vss_tree::mark_of(content)?;
    if mark != Some(config.uuid) {
        let names = store.names()?;
        let owner = names
            .into_iter()
            .find(|name| mark.is_some() && store.uuid_of(name).is_ok_and(|uuid| uuid == mark));
        return Err(Error::NotOwn {
            path: content.to_owned(),
            name: config.name.clone(),
            uuid: config.uuid,
            marked: mark.is_some(),
            owner,
        });
    }
    match store.claim(config)? {
        None => Ok(()),
        Some(claim) => Err(Error::Claimed {
            config: store.places().config(&config.name),
            claim,
        }),
    }
}

#[cfg(test)]
mod tests {
    use vss_config::Places;
    use vss_model::Uuid;

    use vss_tree::Root;

    use super::*;

    #[test]
    fn only_content_with_the_sandboxes_own_mark_is_run() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED, needs root: only_content_with_the_sandboxes_own_mark_is_run");
            assert!(std::env::var_os("CI").is_none(), "this needs root");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(Places::under(place.path()));
        let name = "web1".parse().unwrap();
        let file = store.places().config(&name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = include_str!("../../../../config/tests/web1.sandbox");
        std::fs::write(file, text).unwrap();
        let mut config = store.load(&name).unwrap();
        let content = place.path().join("content");
        config.content = vss_model::AbsPath::new(&content).unwrap();
        let told = |config: &SandboxConfig| check(config, &store).unwrap_err().to_string();
        assert!(told(&config).ends_with("content is not there"));
        std::fs::create_dir(&content).unwrap();
        assert!(
            told(&config).contains("no sandbox's content"),
            "{}",
            told(&config)
        );
        let tree = Root::open(&content).unwrap();
        tree.set_mark(Uuid::from_u128(0xbad)).unwrap();
        assert!(
            told(&config).contains("another sandbox"),
            "{}",
            told(&config)
        );
        let mut other = config.clone();
        (other.name, other.uuid) = ("other".parse().unwrap(), Uuid::from_u128(0xbad));
        other.label = other.label.with_level("s0:c8,c9".parse().unwrap());
        other.network = None;
        store.save(&other).unwrap();
        assert!(
            told(&config).contains("of sandbox other"),
            "{}",
            told(&config)
        );
        tree.set_mark(config.uuid).unwrap();
        check(&config, &store).unwrap();
        let delete = vss_config::Beginning {
            verb: "delete".to_owned(),
            name: config.name.clone(),
            uuid: config.uuid,
            content: config.content.clone(),
            began: 0,
        };
        let journal = store.begin::<()>(delete, &[]).unwrap();
        assert!(
            told(&config).ends_with("its delete is not finished"),
            "{}",
            told(&config)
        );
        journal.finish().unwrap();
        check(&config, &store).unwrap();
    }
}
