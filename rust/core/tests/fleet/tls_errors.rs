//! What stands between a fleet and its engine is told in one sentence for each cause.

use std::io::Read;
use std::net::TcpListener;

use jobfleet_core::Core;
use jobfleet_localengine::{Engine, Options, TlsOptions};
use serde_json::{Value, json};

use crate::pki::Authority;
use crate::rig::Fleet;

/// What a fleet says of an engine that it cannot use.
fn said(tls: Option<TlsOptions>, url: &str, way: Value) -> String {
    let engine = Engine::start(Options { tls, ..Options::default() }).unwrap();
    let url = url.replace("PORT", &engine.addr().port().to_string());
    let mut all = json!({"url": url});
    all.as_object_mut().unwrap().extend(way.as_object().unwrap().clone());
    let mut fleet = Fleet::over(Options::default(), &[("work", 20_000)], all, json!({}));
    let told = fleet.event("engine");
    assert_eq!(told["state"], "down");
    told["message"].as_str().unwrap().to_owned()
}

#[test]
fn certificates_that_cannot_be_accepted() {
    let authority = Authority::new("authority");
    let trust = json!({"tls": {"ca_pem": authority.pem()}});
    let right = authority.server("localhost").options(None);
    let other = authority.server("other.test").options(None);
    let expired = authority.expired("localhost").options(None);
    for (tls, way, words) in [
        (
            right.clone(),
            json!({}),
            "authority that is not trusted here; name the authority's certificate as engine.tls.ca_file",
        ),
        (
            other,
            trust.clone(),
            "not for localhost but for other.test; correct the address, or set engine.tls.server_name",
        ),
        (expired, trust.clone(), "has expired"),
    ] {
        let message = said(Some(tls), "https://localhost:PORT", way);
        assert!(message.contains(words), "{message}");
    }
    let message = said(Some(right), "https://127.0.0.1:PORT", trust);
    assert!(message.contains("not for 127.0.0.1"), "{message}");
}

#[test]
fn client_certificates_that_are_wanted() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let tls = authority.server("localhost").options(Some(&clients));
    let stranger = Authority::new("stranger").client();
    let ca_pem = authority.pem();
    for identity in [json!({}), json!({"cert_pem": stranger.cert, "key_pem": stranger.key})] {
        for http2 in ["auto", "never"] {
            let mut way = json!({"tls": {"ca_pem": ca_pem}, "http2": http2});
            way["tls"].as_object_mut().unwrap().extend(identity.as_object().unwrap().clone());
            // The engine's alert may be lost in the reset of the connection that follows it, now and then.
            let said = || said(Some(tls.clone()), "https://localhost:PORT", way.clone());
            let words = "wants a client certificate";
            assert!(std::iter::repeat_with(said).take(5).any(|message| message.contains(words)), "{http2}");
        }
    }
}

#[test]
fn protocols_that_do_not_fit() {
    let authority = Authority::new("authority");
    let tls = || Some(authority.server("localhost").options(None));
    let trust = json!({"tls": {"ca_pem": authority.pem()}});
    let message = said(None, "https://localhost:PORT", trust);
    assert!(message.contains("does not speak TLS; write http in place of https"), "{message}");
    let message = said(tls(), "http://localhost:PORT", json!({}));
    assert!(message.contains("write https in place of http"), "{message}");
    let message = said(tls(), "http://localhost:PORT", json!({"http2": "always"}));
    assert!(message.contains("engine.http2"), "{message}");
}

#[test]
fn hosts_that_are_not_there() {
    let message = said(None, "https://no-such-host.invalid:PORT", json!({}));
    assert!(message.contains("cannot resolve no-such-host.invalid"), "{message}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let message = said(None, &format!("https://localhost:{port}"), json!({}));
    assert!(
        message.contains(&format!("cannot connect to 127.0.0.1:{port}")) && message.contains("refused"),
        "{message}"
    );
}

#[test]
fn a_connection_that_is_closed_in_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            // All of the greeting is read, else the end would be a reset.
            let _ = socket.read(&mut [0; 4096]);
        }
    });
    let message = said(None, &format!("https://localhost:{port}"), json!({}));
    assert!(message.contains("closed the connection during the TLS handshake"), "{message}");
}

#[test]
fn settings_that_cannot_be_used_are_refused_at_once() {
    let client = Authority::new("clients").client();
    let other = Authority::new("others").client();
    for (tls, words) in [
        (json!({"ca_file": "/nowhere/ca.pem"}), "engine.tls.ca_file (/nowhere/ca.pem) cannot be read"),
        (json!({"ca_pem": "rubbish"}), "engine.tls.ca_pem holds no certificate"),
        (json!({"cert_pem": client.cert}), "engine.tls.cert_pem needs its key"),
        (json!({"key_pem": client.key}), "engine.tls.key_pem needs its certificate"),
        (json!({"cert_pem": client.cert, "key_pem": "rubbish"}), "engine.tls.key_pem holds no private key"),
        (json!({"cert_pem": client.cert, "key_pem": other.key}), "is not the key of the certificate"),
        (json!({"server_name": "not a name"}), "engine.tls.server_name"),
    ] {
        let settings = json!({
            "engine": {"kind": "camunda", "url": "https://localhost", "tls": tls}, "worker_name": "test",
        });
        let Err(fault) = Core::new(settings.to_string().as_bytes()) else { panic!("{settings}") };
        assert!(fault.to_string().contains(words), "{fault}");
    }
}
