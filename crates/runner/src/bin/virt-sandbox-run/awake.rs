//! Processors kept awake while a container starts.
//!
//! A start is a chain of short waits of one process for another, in which a processor has nothing to do
//! and sleeps. One of a virtual machine is given back to the host then, and gets it again when the
//! host comes to it: on a busy one after milliseconds, dozens of times in a start. So the kernel is asked
//! to have processors wait rather than sleep, as tuned's profile for low latency does for good, for as long as
//! a device is open (`Documentation/power/pm_qos_interface.rst` of the kernel).
//!
//! Only where the kernel has the driver for such machines (`haltpoll`): elsewhere to wake takes
//! microseconds, and processors that wait would take heat, and so speed, from those that work.

use std::fs::File;
use std::io::Write;
use std::path::Path;

const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";
const DEVICE: &str = "/dev/cpu_dma_latency";

/// Processors don't sleep as long as this is open. Without the device, a start takes as long as it
/// takes.
pub(crate) fn keep() -> Option<File> {
    ask(Path::new(DRIVER), Path::new(DEVICE))
}

fn ask(driver: &Path, device: &Path) -> Option<File> {
    let driver = std::fs::read_to_string(driver).ok()?;
    if driver.trim() != "haltpoll" {
        return None;
    }
    let mut request = File::options().write(true).open(device).ok()?;
    // no time at all may pass, in microseconds and the machine's byte order
    request.write_all(&0i32.to_ne_bytes()).ok()?;
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_a_processor_that_sleeps_is_given_away() {
        let place = tempfile::tempdir().unwrap();
        let (driver, device) = (place.path().join("driver"), place.path().join("device"));
        File::create(&device).unwrap();
        assert!(ask(&driver, &device).is_none());
        std::fs::write(&driver, "intel_idle\n").unwrap();
        assert!(ask(&driver, &device).is_none());
        assert!(std::fs::read(&device).unwrap().is_empty());
        std::fs::write(&driver, "haltpoll\n").unwrap();
        assert!(ask(&driver, &device).is_some());
        assert_eq!(std::fs::read(&device).unwrap(), [0; 4]);
        assert!(ask(&driver, &place.path().join("missing")).is_none());
    }
}
