//! Keys of the host's root, which belong to a user number and know no container.

use std::ffi::CString;

use crate::facts::Facts;
use crate::outcome::{Outcome, Step, refused};
use crate::secret;
use crate::sys::{Arg, call, call_into};

const USER_KEYRING: i64 = -4;
const SEARCH: i64 = 10;
const READ: i64 = 11;

pub(crate) fn root_keyring(_: &Facts) -> Outcome {
    let (kind, name): (CString, CString) = (c"user".into(), c"breakout".into());
    let args = [
        Arg::Number(SEARCH),
        Arg::Number(USER_KEYRING),
        Arg::Text(&kind),
        Arg::Text(&name),
        Arg::Number(0),
    ];
    let key = call(libc::SYS_keyctl, &args).step("search")?;
    let mut text = [0; 256];
    let args = [Arg::Number(READ), Arg::Number(key), Arg::Number(256)];
    let length = call_into(libc::SYS_keyctl, &args, 2, &mut text).step("read")?;
    match secret::find(&text[..length.min(text.len())]) {
        Some(secret) => Ok(secret),
        None => refused("read", "not the host's"),
    }
}
