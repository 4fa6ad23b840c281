//! Tests over whole ledgers; what is small is tested beside its code.

#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

mod assigning;
mod damage;
mod following;
mod proving;
mod reading;
