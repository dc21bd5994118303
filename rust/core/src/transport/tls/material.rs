//! Certificates and keys, from files or from text.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::settings::TlsSettings;

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// What a configuration of TLS is made of.
pub(super) struct Material {
    pub(super) roots: RootCertStore,
    pub(super) identity: Option<Identity>,
}

/// What tells that a file has changed, a replaced symbolic link included.
#[derive(PartialEq)]
pub(super) struct Stamp(Option<(u64, u64, u64, i64, i64)>);

/// The state of all files that the settings name.
pub(super) fn stamps(settings: &TlsSettings) -> Vec<Stamp> {
    let files = [&settings.ca_file, &settings.cert_file, &settings.key_file];
    files.into_iter().flatten().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    let known = fs::metadata(file).ok();
    Stamp(known.map(|data| (data.dev(), data.ino(), data.size(), data.mtime(), data.mtime_nsec())))
}

/// Reads everything; an error is one sentence that names the setting.
pub(super) fn read(settings: &TlsSettings) -> Result<Material, String> {
    Ok(Material { roots: roots(settings)?, identity: identity(settings)? })
}

/// The sentence for a certificate and a key that do not fit.
pub(super) fn mismatch(settings: &TlsSettings, error: &rustls::Error) -> String {
    let key = Part::of("key", &settings.key_pem, &settings.key_file).place();
    let certificate = Part::of("cert", &settings.cert_pem, &settings.cert_file).place();
    match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("{key} is not the key of the certificate in {certificate}")
        }
        other => format!("{key} or {certificate} cannot be used: {other}"),
    }
}

/// One piece of material: text, or a file.
struct Part<'a> {
    name: &'static str,
    text: &'a Option<String>,
    file: &'a Option<PathBuf>,
}

impl<'a> Part<'a> {
    fn of(name: &'static str, text: &'a Option<String>, file: &'a Option<PathBuf>) -> Self {
        Self { name, text, file }
    }

    /// How a message names it.
    fn place(&self) -> String {
        match (self.text, self.file) {
            (None, Some(file)) => format!("engine.tls.{}_file ({})", self.name, file.display()),
            _ => format!("engine.tls.{}_pem", self.name),
        }
    }

    /// The text, or None when nothing is set.
    fn read(&self) -> Result<Option<String>, String> {
        match (self.text, self.file) {
            (Some(text), _) => Ok(Some(text.clone())),
            (None, Some(file)) => {
                let text =
                    fs::read(file).map_err(|error| format!("{} cannot be read: {error}", self.place()))?;
                Ok(Some(String::from_utf8_lossy(&text).into_owned()))
            }
            (None, None) => Ok(None),
        }
    }

    fn certificates(&self, text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match found {
            Ok(some) if !some.is_empty() => Ok(some),
            Ok(_) => Err(format!("{} holds no certificate; PEM text is expected", self.place())),
            Err(error) => Err(format!("{} is no PEM text: {error}", self.place())),
        }
    }
}

fn roots(settings: &TlsSettings) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (system, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let part = Part::of("ca", &settings.ca_pem, &settings.ca_file);
    match part.read()? {
        Some(text) => {
            for certificate in part.certificates(&text)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("{} holds an unusable certificate: {error}", part.place()))?;
            }
        }
        None if system == 0 => {
            return Err(
                "this host has no root certificates; install ca-certificates, or set engine.tls.ca_file"
                    .to_owned(),
            );
        }
        None => {}
    }
    Ok(roots)
}

fn identity(settings: &TlsSettings) -> Result<Option<Identity>, String> {
    let certificate = Part::of("cert", &settings.cert_pem, &settings.cert_file);
    let key = Part::of("key", &settings.key_pem, &settings.key_file);
    match (certificate.read()?, key.read()?) {
        (None, None) => Ok(None),
        (Some(chain), Some(text)) => {
            let chain = certificate.certificates(&chain)?;
            Ok(Some((chain, private_key(&key, &text, settings.key_passphrase.as_deref())?)))
        }
        (Some(_), None) => Err(format!("{} needs its key: set engine.tls.key_file", certificate.place())),
        (None, Some(_)) => Err(format!("{} needs its certificate: set engine.tls.cert_file", key.place())),
    }
}

fn private_key(
    part: &Part<'_>,
    text: &str,
    passphrase: Option<&str>,
) -> Result<PrivateKeyDer<'static>, String> {
    if let Some(section) = section(text, ENCRYPTED) {
        let Some(passphrase) = passphrase else {
            return Err(format!("{} is encrypted: set engine.tls.key_passphrase", part.place()));
        };
        return decrypt(section, passphrase)
            .ok_or_else(|| format!("{} cannot be decrypted with engine.tls.key_passphrase", part.place()));
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(format!(
            "{} is encrypted in an outdated way; convert it: openssl pkcs8 -topk8 -in OLD -out NEW",
            part.place()
        ));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| format!("{} holds no private key; PEM text is expected", part.place()))
}

/// The part of a PEM text with this label, its first and last line included.
fn section<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let rest = text.get(text.find(&begin)?..)?;
    rest.get(..rest.find(&end)? + end.len())
}

fn decrypt(section: &str, passphrase: &str) -> Option<PrivateKeyDer<'static>> {
    let (_, encrypted) = pkcs8::SecretDocument::from_pem(section).ok()?;
    let info = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes()).ok()?;
    let plain = info.decrypt(passphrase).ok()?;
    Some(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}
