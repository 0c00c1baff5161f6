//! The program as it is linked.

use std::fs;

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// The segments of a 64-bit little-endian ELF file (elf(5)): type, and what is in them.
fn segments(elf: &[u8]) -> Vec<(u32, &[u8])> {
    let at = |start: usize, length: usize| number(&elf[start..start + length]) as usize;
    let (table, size, count) = (at(32, 8), at(54, 2), at(56, 2));
    let header = |n: usize| table + n * size;
    (0..count)
        .map(|n| {
            let (offset, length) = (at(header(n) + 8, 8), at(header(n) + 32, 8));
            (at(header(n), 4) as u32, &elf[offset..offset + length])
        })
        .collect()
}

/// A dynamic linker would load what the container's own `/etc/ld.so.preload` names, into a process
/// that is not confined yet.
#[test]
fn a09_the_init_loads_no_library() {
    let elf = fs::read(env!("CARGO_BIN_EXE_virt-sandbox-init")).unwrap();
    let segments = segments(&elf);
    assert!(segments.len() > 2, "{}", segments.len());
    for (kind, content) in segments {
        assert_ne!(kind, PT_INTERP, "{}", String::from_utf8_lossy(content));
        if kind == PT_DYNAMIC {
            let tags: Vec<u64> = content.chunks_exact(16).map(|e| number(&e[..8])).collect();
            assert!(!tags.contains(&DT_NEEDED), "{tags:?}");
        }
    }
}

/// The pair: this test is linked as programs usually are, and so is looked at the right way.
#[test]
fn a_program_with_libraries_is_told() {
    let elf = fs::read("/proc/self/exe").unwrap();
    let found = segments(&elf);
    assert!(found.iter().any(|(kind, _)| *kind == PT_INTERP));
}
