//! Any bytes at all as a header of the rpm database. What is found must be of the blob's own size:
//! a header can't make the reader allocate more than a small multiple of itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vss_package::rpm::Record;

fuzz_target!(|blob: &[u8]| {
    if let Ok((record, files)) = Record::read(blob) {
        assert!(!record.name.is_empty());
        // a file has a number of four bytes and a NUL byte at least
        assert!(files.len() * 5 <= blob.len());
    }
});
