//! Fleets that speak TLS with their engine.

use std::fs;
use std::path::PathBuf;

use jobfleet_localengine::{Dialect, Engine, NewJobs, Options, Settings, TlsOptions};
use serde_json::{Value, json};

use crate::pki::{Authority, Identity};
use crate::rig::{Fleet, Reply};

/// A folder with the certificates of a fleet, removed with the value.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("jobfleet-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    /// Puts a file in place in one step, as whoever renews certificates does.
    fn put(&self, name: &str, text: &str) -> String {
        let (file, next) = (self.folder.join(name), self.folder.join("next"));
        fs::write(&next, text).unwrap();
        fs::rename(&next, &file).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn put_identity(&self, identity: &Identity) -> Value {
        json!({"cert_file": self.put("cert.pem", &identity.cert), "key_file": self.put("key.pem", &identity.key)})
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Certificates of a fleet that trusts `authority`, and more of them.
fn trusting(authority: &Authority, more: Value) -> Value {
    let mut tls = json!({"ca_pem": authority.pem()});
    tls.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tls
}

#[test]
fn jobs_flow_over_it_with_certificates_on_both_sides() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let identity = clients.client();
    for (http2, streams) in [("auto", true), ("never", false), ("always", true)] {
        let tls = Some(authority.server("localhost").options(Some(&clients)));
        let client = json!({"cert_pem": identity.cert, "key_pem": identity.key});
        let way = json!({"tls": trusting(&authority, client), "http2": http2});
        let fleet = Fleet::over(Options { tls, ..Options::default() }, &[("work", 20_000)], way, json!({}));
        let _workers = [fleet.worker(|_| Reply::Complete), fleet.worker(|_| Reply::Complete)];
        fleet.add_jobs("work", 2_000);
        fleet.until("all done", |account| account["completed"] == 2_000);
        let engine = &fleet.status()["engine"];
        assert_eq!(engine["outcome_streams"].as_u64() > Some(0), streams, "{http2}: {engine}");
        assert_eq!(engine["poll_streams"].as_u64() > Some(0), streams, "{http2}: {engine}");
        fleet.assert_clean();
    }
}

#[test]
fn an_engine_without_http2_gets_http_1_1() {
    let authority = Authority::new("authority");
    let tls = Some(authority.server("localhost").options(None));
    let options = Options { tls, dialect: Dialect::V8_6, ..Options::default() };
    let way = json!({"tls": trusting(&authority, json!({}))});
    let fleet = Fleet::over(options, &[("work", 20_000)], way, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 500);
    fleet.until("all done", |account| account["completed"] == 500);
    assert_eq!(fleet.status()["engine"]["outcome_streams"], 0);
    fleet.assert_clean();
}

#[test]
fn the_name_to_find_can_be_set() {
    let authority = Authority::new("authority");
    let tls = Some(authority.server("zeebe.test").options(None));
    let way = json!({"tls": trusting(&authority, json!({"server_name": "zeebe.test"}))});
    let fleet = Fleet::over(Options { tls, ..Options::default() }, &[("work", 20_000)], way, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 10);
    fleet.until("all done", |account| account["completed"] == 10);
}

#[test]
fn an_encrypted_key_is_decrypted() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let identity = clients.client();
    let key = pkcs8::SecretDocument::from_pem(&identity.key).unwrap().1;
    let info = pkcs8::PrivateKeyInfoRef::try_from(key.as_bytes()).unwrap();
    let params = pkcs8::pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(
        1_000,
        b"saltsalt",
        *b"an IV, 16 bytes!",
    );
    let encrypted = info.encrypt_with_params(params.unwrap(), "open sesame").unwrap();
    let key = encrypted.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF).unwrap();
    let tls = Some(authority.server("localhost").options(Some(&clients)));
    let own = json!({"cert_pem": identity.cert, "key_pem": *key, "key_passphrase": "open sesame"});
    let way = json!({"tls": trusting(&authority, own)});
    let fleet = Fleet::over(Options { tls, ..Options::default() }, &[("work", 20_000)], way, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 10);
    fleet.until("all done", |account| account["completed"] == 10);
}

#[test]
fn renewed_certificates_hold_for_new_connections() {
    let files = Files::new("renewed");
    let (authority, first, second) =
        (Authority::new("authority"), Authority::new("first"), Authority::new("second"));
    let mut own = files.put_identity(&first.client());
    own["ca_file"] = files.put("ca.pem", &authority.pem()).into();
    let tls = Some(authority.server("localhost").options(Some(&first)));
    let way = json!({"tls": own});
    let mut fleet = Fleet::over(Options { tls, ..Options::default() }, &[("work", 20_000)], way, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 10);
    fleet.until("all done", |account| account["completed"] == 10);
    // The engine's own authority changes, and whom it lets in.
    let port = fleet.engine.addr().port();
    fleet.engine.stop();
    let authority = Authority::new("another");
    files.put_identity(&second.client());
    files.put("ca.pem", &authority.pem());
    let tls = Some(authority.server("localhost").options(Some(&second)));
    let engine = Engine::start(Options { tls, port, ..Options::default() }).unwrap();
    engine.add_jobs(NewJobs::new("work", 10)).unwrap();
    fleet.until("all done again", |_| engine.account().completed == 10);
    let told = fleet.event("notice");
    assert!(told["message"].as_str().unwrap().contains("the new ones hold"), "{told}");
}

#[test]
fn connections_made_with_replaced_certificates_give_way_without_costing_a_request() {
    for http2 in ["auto", "never"] {
        let files = Files::new(&format!("replaced-{http2}"));
        let (authority, first, second) =
            (Authority::new("authority"), Authority::new("first"), Authority::new("second"));
        let own = files.put_identity(&first.client());
        let both = format!("{}{}", first.pem(), second.pem());
        let tls = TlsOptions { client_ca_pem: Some(both), ..authority.server("localhost").options(None) };
        let way = json!({"tls": trusting(&authority, own), "http2": http2});
        let options = Options { tls: Some(tls), ..Options::default() };
        let few = json!({"hold_ms": 100, "outcome_connections_max": 1});
        let mut fleet = Fleet::over(options, &[("work", 20_000)], way, few);
        let _worker = fleet.worker(|_| Reply::Complete);
        fleet.add_jobs("work", 10);
        fleet.until("all done", |account| account["completed"] == 10);
        let opened = |status: &Value| status["engine"]["connections_opened"].as_u64().unwrap();
        let before = opened(&fleet.status());
        files.put_identity(&second.client());
        assert!(fleet.event("notice")["message"].as_str().unwrap().contains("made with the old ones"));
        // The one for polls and the one for outcomes.
        fleet.until_status("new connections", |status| {
            fleet.add_jobs("work", 1);
            opened(status) >= before + 2
        });
        let account =
            fleet.until("all done again", |account| account["waiting"] == 0 && account["in_flight"] == 0);
        assert_eq!((&account["undelivered"], &account["failed"]), (&0.into(), &0.into()), "{account}");
        fleet.assert_no_event(|event| event["state"] == "down" || event["event"] == "notice");
        fleet.assert_clean();
    }
}

#[test]
fn certificates_that_cannot_be_used_leave_the_old_ones_in_force() {
    let files = Files::new("broken");
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let own = files.put_identity(&clients.client());
    let tls = Some(authority.server("localhost").options(Some(&clients)));
    let way = json!({"tls": trusting(&authority, own), "http2": "never"});
    // Every request needs a connection of its own.
    let settings = Settings { max_requests_per_connection: Some(1), ..Settings::default() };
    let options = Options { tls, settings, ..Options::default() };
    let mut fleet = Fleet::over(options, &[("work", 20_000)], way, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 10);
    fleet.until("all done", |account| account["completed"] == 10);
    files.put("key.pem", &Authority::new("others").client().key);
    fleet.add_jobs("work", 10);
    fleet.until("all done again", |account| account["completed"] == 20);
    let told = fleet.event("notice");
    assert_eq!(told["level"], 30);
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("the old ones stay in force") && message.contains("key.pem"), "{told}");
    fleet.assert_no_event(|event| event["event"] == "notice" || event["state"] == "down");
}
