//! Backup of the keys: one text file, encrypted with a passphrase.
//!
//! ```text
//! piperoll key backup v1
//! argon2id <memory KiB> <passes> <lanes> <salt, base64>
//! aes-256-gcm <nonce, base64>
//! <ciphertext, base64>
//! ```
//!
//! The key is Argon2id (RFC 9106) of the passphrase; the first two lines are authenticated with the ciphertext, which
//! is a JSON object of the key files. The file has all that is needed to restore it but the passphrase.

use std::collections::BTreeMap;
use std::fs;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use anyhow::Context as _;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::directory::{ArchiveDirectory, create_secret_directory, create_secret_file};
use crate::error::{Exit, Failure};
use crate::secret::{LedgerSecrets, parse_kek, parse_signing_key, random};

const FIRST_LINE: &str = "piperoll key backup v1";

/// 64 MiB and three passes: the second recommended option of RFC 9106, section 4.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// A damaged file must not make this program ask for all memory: at most 1 GiB, and 16 passes.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 64;

const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;

/// The shortest passphrase that is accepted for a new backup.
const PASSPHRASE_CHARS_MIN: usize = 12;

/// How costly it is to try a passphrase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// For real backups.
    pub(crate) const STANDARD: Self = Self { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES };
    /// For tests, which are not to wait.
    #[cfg(test)]
    pub(crate) const TINY: Self = Self { memory_kib: 64, passes: 1, lanes: 1 };
}

/// Encrypts the key files of an archive.
pub(crate) fn seal(directory: &ArchiveDirectory, passphrase: &str, cost: Cost) -> anyhow::Result<String> {
    if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
        let message = format!(
            "expected a passphrase of at least {PASSPHRASE_CHARS_MIN} characters, found a shorter one"
        );
        return Err(Failure::new(Exit::Usage, message).into());
    }
    let mut files = BTreeMap::new();
    for (name, path) in key_files(directory) {
        let text =
            fs::read_to_string(&path).with_context(|| format!("read key file `{}`", path.display()))?;
        files.insert(name.to_owned(), text);
    }
    let plain = Zeroizing::new(serde_json::to_vec(&files)?);
    let (salt, nonce) = (random()?, random()?);
    let (salt, nonce) = (&salt[..SALT_BYTES], &nonce[..NONCE_BYTES]);
    let Cost { memory_kib, passes, lanes } = cost;
    let header = format!("{FIRST_LINE}\nargon2id {memory_kib} {passes} {lanes} {}\n", STANDARD.encode(salt));
    let cipher = Aes256Gcm::new((&*derive(passphrase, salt, cost)?).into());
    let payload = Payload { msg: &plain, aad: header.as_bytes() };
    let nonce_value = Nonce::try_from(nonce).expect("the nonce has its length");
    let sealed =
        cipher.encrypt(&nonce_value, payload).map_err(|_| anyhow::anyhow!("keys cannot be encrypted"))?;
    Ok(format!("{header}aes-256-gcm {}\n{}\n", STANDARD.encode(nonce), STANDARD.encode(sealed)))
}

/// Key files by name, decrypted.
pub(crate) type KeyFiles = BTreeMap<String, String>;

/// Decrypts a backup.
pub(crate) fn open(text: &str, passphrase: &str) -> anyhow::Result<KeyFiles> {
    let malformed =
        || Failure::new(Exit::Failed, "expected a key backup of this program, found something else");
    let mut lines = text.lines();
    let (first, kdf) = (lines.next().ok_or_else(malformed)?, lines.next().ok_or_else(malformed)?);
    let (cipher, sealed) = (lines.next().ok_or_else(malformed)?, lines.next().ok_or_else(malformed)?);
    if first != FIRST_LINE || lines.any(|line| !line.trim().is_empty()) {
        return Err(malformed().into());
    }
    let (cost, salt) = parse_kdf(kdf).ok_or_else(malformed)?;
    let nonce = cipher.strip_prefix("aes-256-gcm ").and_then(|nonce| STANDARD.decode(nonce).ok());
    let nonce = nonce.and_then(|nonce| Nonce::try_from(nonce.as_slice()).ok()).ok_or_else(malformed)?;
    let sealed = STANDARD.decode(sealed).map_err(|_| malformed())?;
    let cipher = Aes256Gcm::new((&*derive(passphrase, &salt, cost)?).into());
    let aad = format!("{first}\n{kdf}\n");
    let plain = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: aad.as_bytes() }).map_err(|_| {
        Failure::new(Exit::KeyUnknown, "the passphrase is wrong, or the backup was changed")
            .hint("type the passphrase again; if it is right, use another copy of the file")
    })?;
    serde_json::from_slice(&Zeroizing::new(plain)).context("read the keys in the backup")
}

/// Reads the keys in a backup, to tell whose they are before anything is put in place.
pub(crate) fn secrets(files: &KeyFiles) -> anyhow::Result<LedgerSecrets> {
    let text = |name: &str| files.get(name).with_context(|| format!("the backup has no `{name}`"));
    Ok(LedgerSecrets {
        signing: parse_signing_key("signing-key.pem", text("signing-key.pem")?)?,
        next: parse_signing_key("next-key.pem", text("next-key.pem")?)?,
        kek: parse_kek("kek", text("kek")?)?,
    })
}

/// Puts key files back in place. Keeps files that are the same; never replaces another key.
pub(crate) fn restore(directory: &ArchiveDirectory, files: &KeyFiles) -> anyhow::Result<usize> {
    let mut missing = Vec::new();
    for (name, path) in key_files(directory) {
        let text = files.get(name).with_context(|| format!("the backup has no `{name}`"))?;
        match fs::read_to_string(&path) {
            Ok(present) if present == *text => {}
            Ok(_) => {
                let message = format!("key file `{}` exists and is another key", path.display());
                let hint = "this backup may belong to another archive; move the file away if you are sure";
                return Err(Failure::new(Exit::Conflict, message).hint(hint).into());
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push((path, text)),
            Err(error) => return Err(error).with_context(|| format!("read key file `{}`", path.display())),
        }
    }
    create_secret_directory(&directory.secrets())?;
    for (path, text) in &missing {
        create_secret_file(path, text.as_bytes())?;
    }
    Ok(missing.len())
}

fn key_files(directory: &ArchiveDirectory) -> [(&'static str, std::path::PathBuf); 3] {
    [
        ("signing-key.pem", directory.signing_key()),
        ("next-key.pem", directory.next_key()),
        ("kek", directory.kek()),
    ]
}

fn parse_kdf(line: &str) -> Option<(Cost, Vec<u8>)> {
    let parts: Vec<&str> = line.split(' ').collect();
    let ["argon2id", memory_kib, passes, lanes, salt] = parts.as_slice() else { return None };
    let cost = Cost {
        memory_kib: memory_kib.parse().ok()?,
        passes: passes.parse().ok()?,
        lanes: lanes.parse().ok()?,
    };
    let is_sane = cost.memory_kib <= MEMORY_KIB_MAX && cost.passes <= PASSES_MAX && cost.lanes <= LANES_MAX;
    is_sane.then_some((cost, STANDARD.decode(salt).ok()?))
}

fn derive(passphrase: &str, salt: &[u8], cost: Cost) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(key.len()))
        .map_err(|error| anyhow::anyhow!("Argon2 refuses the parameters of the backup: {error}"))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
        .map_err(|error| anyhow::anyhow!("Argon2 failed: {error}"))?;
    Ok(key)
}
