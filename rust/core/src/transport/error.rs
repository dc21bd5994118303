//! Why no answer came, for the decision that follows and in words for people.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::engine::Answer;

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The request never left, as there is no way to the engine: it may be sent again without any doubt.
    Unsent(String),
    /// The connection ended, or was given up by the engine, before the request was taken: as above, and another
    /// connection may work at once.
    Gone(String),
    /// The engine lives and gave the request back unprocessed: as above, after a pause.
    Refused(String),
    /// The request left and may have had its effect.
    Ambiguous(String),
    /// The answer broke off in the middle of its body.
    Cut(Answer),
}

/// The words for an error of a connection in use.
pub(super) fn connection_words(error: &(dyn Error + 'static)) -> String {
    if let Some(tls) = tls_error(error) {
        return tls_words(tls);
    }
    match io_error(error) {
        Some(found) => format!("the connection broke: {found}"),
        None => format!("the connection broke: {error}"),
    }
}

/// Whether the engine ended the TLS handshake after this side had taken it for done, as TLS 1.3 allows: nothing
/// that was sent meanwhile has been read.
pub(super) fn refused_handshake(error: &rustls::Error) -> bool {
    use AlertDescription as Alert;
    let rustls::Error::AlertReceived(alert) = error else { return false };
    wants_certificate(*alert) || matches!(alert, Alert::CertificateExpired | Alert::CertificateRevoked)
}

/// The words for an error of the TLS handshake.
pub(super) fn handshake_words(error: &io::Error, authority: &str) -> String {
    match tls_error(error) {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            format!("{authority} does not speak TLS; write http in place of https in the engine's address")
        }
        Some(tls) => tls_words(tls),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!(
                "{authority} closed the connection during the TLS handshake; it may not speak TLS, or wants a \
                 client certificate"
            )
        }
        None => format!("the TLS handshake with {authority} broke: {error}"),
    }
}

/// The words for an error of TLS.
pub(super) fn tls_words(error: &rustls::Error) -> String {
    use AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(fault) => certificate_words(fault),
        rustls::Error::NoCertificatesPresented => "the engine shows no certificate".to_owned(),
        rustls::Error::PeerIncompatible(why) => {
            format!("the engine speaks no version of TLS from 1.2 on that fits: {why:?}")
        }
        rustls::Error::AlertReceived(Alert::CertificateExpired) => {
            "the engine refuses the client certificate: it has expired; renew engine.tls.cert_file".to_owned()
        }
        rustls::Error::AlertReceived(Alert::CertificateRevoked) => {
            "the engine refuses the client certificate: it was revoked; replace engine.tls.cert_file"
                .to_owned()
        }
        rustls::Error::AlertReceived(Alert::UnrecognisedName) => {
            "the engine has no certificate for the name that was asked for; set engine.tls.server_name"
                .to_owned()
        }
        rustls::Error::AlertReceived(Alert::NoApplicationProtocol) => {
            "the engine does not offer HTTP/2 over TLS; set engine.http2 to \"auto\"".to_owned()
        }
        rustls::Error::AlertReceived(alert) if wants_certificate(*alert) => format!(
            "the engine wants a client certificate that it trusts ({alert:?}); check engine.tls.cert_file and \
             engine.tls.key_file"
        ),
        other => format!("TLS failed: {other}"),
    }
}

fn wants_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::HandshakeFailure
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

fn certificate_words(fault: &CertificateError) -> String {
    match fault {
        CertificateError::UnknownIssuer => "the engine's certificate is signed by an authority that is not trusted \
             here; name the authority's certificate as engine.tls.ca_file"
            .to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the engine's certificate has expired; it must be renewed there, unless this host's clock is wrong"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the engine's certificate is not valid yet; is this host's clock wrong?".to_owned()
        }
        CertificateError::NotValidForName => "the engine's certificate is for another host name; correct the \
             address, or set engine.tls.server_name"
            .to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the engine's certificate is not for {}{}; correct the address, or set engine.tls.server_name",
            expected.to_str(),
            listed(presented)
        ),
        CertificateError::Revoked => "the engine's certificate was revoked".to_owned(),
        other => format!("the engine's certificate cannot be accepted: {other}"),
    }
}

/// ` but for a, b`: some of the names of a certificate.
fn listed(names: &[String]) -> String {
    let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let some: Vec<_> = names.iter().take(4).map(plain).collect();
    if some.is_empty() { String::new() } else { format!(" but for {}", some.join(", ")) }
}

/// The error of TLS behind an error, if there is one.
pub(super) fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    chain(error).find_map(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.and_then(|inner| inner.downcast_ref()).or_else(|| cause.downcast_ref())
    })
}

fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}
