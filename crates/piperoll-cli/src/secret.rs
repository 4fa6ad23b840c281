//! The key files of an archive: made once by `init`, read by whoever writes or opens payloads.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use piperoll_engine::WriterKeys;
use piperoll_format::Kek;
use zeroize::Zeroizing;

use crate::directory::{ArchiveDirectory, create_secret_file};
use crate::error::{Exit, Failure};

/// First line of the file with the key-encryption key.
const KEK_HEADER: &str = "piperoll key-encryption key v1 - without it no payload can be read";

/// All secrets that belong to a ledger for its life.
#[derive(Clone)]
pub(crate) struct LedgerSecrets {
    pub(crate) signing: SigningKey,
    pub(crate) next: SigningKey,
    pub(crate) kek: Kek,
}

impl std::fmt::Debug for LedgerSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LedgerSecrets(…)")
    }
}

impl LedgerSecrets {
    /// Draws new keys from the operating system.
    pub(crate) fn generate() -> anyhow::Result<Self> {
        let (signing, next, kek) = (random()?, random()?, random()?);
        Ok(Self {
            signing: SigningKey::from_bytes(&signing),
            next: SigningKey::from_bytes(&next),
            kek: Kek::new(*kek),
        })
    }

    /// Writes the key files; fails when one of them exists.
    pub(crate) fn create(&self, directory: &ArchiveDirectory) -> anyhow::Result<()> {
        create_secret_file(&directory.signing_key(), pem(&self.signing)?.as_bytes())?;
        create_secret_file(&directory.next_key(), pem(&self.next)?.as_bytes())?;
        create_secret_file(&directory.kek(), kek_text(&self.kek).as_bytes())
    }

    /// Reads all key files.
    pub(crate) fn read(directory: &ArchiveDirectory) -> anyhow::Result<Self> {
        Ok(Self {
            signing: read_signing_key(&directory.signing_key())?,
            next: read_signing_key(&directory.next_key())?,
            kek: read_kek(&directory.kek())?,
        })
    }

    /// Returns what the writer needs.
    pub(crate) fn writer_keys(&self) -> WriterKeys {
        WriterKeys { signing: self.signing.clone(), kek: self.kek.clone() }
    }
}

/// Reads the key-encryption key.
pub(crate) fn read_kek(path: &Path) -> anyhow::Result<Kek> {
    parse_kek(&path.display().to_string(), &read_key_file(path)?)
}

/// Reads the text of a file with a key-encryption key; `name` is for messages.
pub(crate) fn parse_kek(name: &str, text: &str) -> anyhow::Result<Kek> {
    let malformed = || {
        let message = format!("key file `{name}`: expected a header line and 64 hexadecimal digits");
        Failure::new(Exit::KeyUnknown, message)
            .hint("put it back from a backup with `piperoll key restore FILE`")
    };
    let (header, digits) = text.split_once('\n').ok_or_else(malformed)?;
    if header != KEK_HEADER {
        return Err(malformed().into());
    }
    Ok(Kek::new(*parse_hex(digits.trim()).ok_or_else(malformed)?))
}

/// Reads a PKCS#8 PEM file with an Ed25519 private key.
pub(crate) fn read_signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    parse_signing_key(&path.display().to_string(), &read_key_file(path)?)
}

/// Reads the text of a PKCS#8 PEM file; `name` is for messages.
pub(crate) fn parse_signing_key(name: &str, text: &str) -> anyhow::Result<SigningKey> {
    SigningKey::from_pkcs8_pem(text).map_err(|error| {
        let message = format!("key file `{name}`: expected an Ed25519 private key in PKCS#8 PEM");
        let failure = Failure::new(Exit::KeyUnknown, message);
        anyhow::Error::new(error)
            .context(failure.hint("put it back from a backup with `piperoll key restore FILE`"))
    })
}

fn read_key_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("key file `{}` is missing", path.display());
            let hint = "put it back from a backup with `piperoll key restore FILE`";
            Err(Failure::new(Exit::KeyUnknown, message).hint(hint).into())
        }
        Err(error) => Err(error).with_context(|| format!("read key file `{}`", path.display())),
    }
}

/// Returns 32 random bytes.
pub(crate) fn random() -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).context("draw random bytes")?;
    Ok(bytes)
}

/// Writes bytes as lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_hex(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(&digits[pair * 2..pair * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

fn pem(key: &SigningKey) -> anyhow::Result<Zeroizing<String>> {
    key.to_pkcs8_pem(LineEnding::LF).context("encode a signing key")
}

fn kek_text(kek: &Kek) -> Zeroizing<String> {
    Zeroizing::new(format!("{KEK_HEADER}\n{}\n", hex(kek.expose())))
}
