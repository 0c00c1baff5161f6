//! A stand-in for SELinux, for the tests of crates above.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, StatxFlags};
use vss_model::SecurityContext;

use crate::{ContainerTypes, Error, Labeller, Mode};

/// A labeller that keeps labels in memory, by inode.
#[derive(Debug)]
pub struct FakeLabeller {
    /// What [`Labeller::mode`] says.
    pub mode: Mode,
    /// What [`Labeller::types`] says.
    pub types: ContainerTypes,
    /// The processes and their labels.
    pub processes: BTreeMap<u32, SecurityContext>,
    /// Types that the policy does not know: that of the project's own module at first.
    pub unknown_types: BTreeSet<String>,
    /// Types for whose processes the policy makes an exception.
    pub permissive_types: BTreeSet<String>,
    room: Mutex<Option<usize>>,
    labels: Mutex<HashMap<Inode, SecurityContext>>,
}

/// Device, major and minor, and number.
pub type Inode = (u32, u32, u64);

impl FakeLabeller {
    /// A machine of that mode, with the types of an installation without policy, and nothing
    /// running.
    #[must_use]
    #[expect(clippy::expect_used, reason = "for tests, which are to fail then")]
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            types: ContainerTypes::without_policy().expect("the defaults are contexts"),
            processes: BTreeMap::new(),
            unknown_types: BTreeSet::from([vss_model::confinement::PROCESS_TYPE.to_owned()]),
            permissive_types: BTreeSet::new(),
            room: Mutex::new(None),
            labels: Mutex::default(),
        }
    }

    /// All labels that were set, by device (major, minor) and inode number.
    #[must_use]
    pub fn labels(&self) -> HashMap<Inode, SecurityContext> {
        lock(&self.labels).clone()
    }

    /// Lets so many more labels be set; then the disk is full. `None` for any number.
    pub fn set_room(&self, room: Option<usize>) {
        *lock(&self.room) = room;
    }
}

impl Labeller for FakeLabeller {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn types(&self) -> Result<ContainerTypes, Error> {
        Ok(self.types.clone())
    }

    fn live(&self) -> Result<Vec<SecurityContext>, Error> {
        let labels: BTreeSet<_> = self.processes.values().cloned().collect();
        Ok(labels.into_iter().collect())
    }

    fn set(&self, fd: BorrowedFd<'_>, context: &SecurityContext) -> Result<(), Error> {
        let inode = inode(fd)?;
        let mut room = lock(&self.room);
        if *room == Some(0) {
            return Err(Error::Label {
                action: format!("set the label {context}"),
                source: rustix::io::Errno::NOSPC.into(),
            });
        }
        *room = room.map(|room| room - 1);
        lock(&self.labels).insert(inode, context.clone());
        Ok(())
    }

    fn get(&self, fd: BorrowedFd<'_>) -> Result<Option<SecurityContext>, Error> {
        Ok(lock(&self.labels).get(&inode(fd)?).cloned())
    }

    fn of_process(&self, pid: u32) -> Result<Option<SecurityContext>, Error> {
        Ok(self.processes.get(&pid).cloned())
    }

    fn check(&self, context: &SecurityContext) -> Result<(), Error> {
        if self.mode.is_enabled() && self.unknown_types.contains(context.type_name()) {
            let context = Box::new(context.clone());
            return Err(Error::UnknownToPolicy { context });
        }
        Ok(())
    }

    fn is_permissive(&self, context: &SecurityContext) -> Result<bool, Error> {
        self.check(context)?;
        Ok(self.permissive_types.contains(context.type_name()))
    }
}

fn inode(fd: BorrowedFd<'_>) -> Result<Inode, Error> {
    rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::INO)
        .map(|stat| (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
        .map_err(|e| Error::Label {
            action: "look at the node".to_owned(),
            source: e.into(),
        })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rustix::fd::AsFd;

    use super::*;

    #[test]
    fn a30_labelling_that_was_interrupted_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..5)
            .map(|n| std::fs::File::create(dir.path().join(n.to_string())).unwrap())
            .collect();
        let label = "system_u:object_r:container_file_t:s0:c1,c2"
            .parse()
            .unwrap();
        let fake = FakeLabeller::new(Mode::Enforcing);
        let label_all = || {
            files
                .iter()
                .map(|file| fake.ensure(file.as_fd(), &label))
                .collect::<Result<Vec<_>, _>>()
        };
        fake.set_room(Some(3));
        let error = label_all().unwrap_err();
        assert!(
            error.to_string().contains("cannot set the label"),
            "{error}"
        );
        fake.set_room(None);
        assert_eq!(label_all().unwrap(), [false, false, false, true, true]);
        assert_eq!(label_all().unwrap(), [false; 5]);
        assert_eq!(fake.labels().len(), 5);
    }

    #[test]
    fn a29_a_type_that_the_policy_lacks_is_refused_where_there_is_a_policy() {
        let context = "system_u:system_r:gone_t:s0:c1,c2".parse().unwrap();
        let mut fake = FakeLabeller::new(Mode::Permissive);
        assert!(fake.check(&context).is_ok());
        fake.unknown_types.insert("gone_t".to_owned());
        assert!(fake.check(&context).is_err());
        fake.mode = Mode::Disabled;
        assert!(fake.check(&context).is_ok());
    }
}
