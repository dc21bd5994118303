//! Fleets behind an HTTP proxy.

use jobfleet_localengine::{Engine, NewJobs, Options};
use serde_json::{Value, json};

use crate::pki::Authority;
use crate::proxy::Proxy;
use crate::rig::{Fleet, Reply};

/// `user:p@ss` as Basic credentials.
const AUTHORIZATION: &str = "Basic dXNlcjpwQHNz";

/// A fleet that is told to go to `url` through `proxy`.
fn behind(proxy: &Proxy, url: &str, credentials: &str, more: Value) -> Fleet {
    let mut way = json!({"url": url, "proxy": format!("http://{credentials}127.0.0.1:{}", proxy.port)});
    way.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Fleet::over(Options::default(), &[("work", 20_000)], way, json!({"hold_ms": 200}))
}

fn flows(fleet: &Fleet, engine: &Engine) {
    let _worker = fleet.worker(|_| Reply::Complete);
    engine.add_jobs(NewJobs::new("work", 50)).unwrap();
    let completed = || engine.account().completed == 50;
    fleet.until("all done behind the proxy", |_| completed());
}

#[test]
fn http_goes_through_it_with_the_whole_address() {
    let engine = Engine::start(Options::default()).unwrap();
    let proxy = Proxy::start(engine.addr(), Some(AUTHORIZATION));
    let fleet = behind(&proxy, "http://engine.test:8080/", "user:p%40ss@", json!({}));
    flows(&fleet, &engine);
    let heads = proxy.heads();
    assert!(heads.iter().any(|head| head.starts_with("POST http://engine.test:8080/v2/jobs/")), "{heads:?}");
    assert!(!heads.iter().any(|head| head.starts_with("CONNECT")));
}

#[test]
fn https_is_tunnelled_through_it() {
    let authority = Authority::new("authority");
    let tls = Some(authority.server("engine.test").options(None));
    let engine = Engine::start(Options { tls, ..Options::default() }).unwrap();
    let proxy = Proxy::start(engine.addr(), Some(AUTHORIZATION));
    let trust = json!({"tls": {"ca_pem": authority.pem()}});
    let fleet = behind(&proxy, "https://engine.test", "user:p%40ss@", trust);
    flows(&fleet, &engine);
    let heads = proxy.heads();
    assert!(heads.iter().all(|head| head.starts_with("CONNECT engine.test:443 HTTP/1.1\r\n")), "{heads:?}");
    assert!(fleet.status()["engine"]["outcome_streams"].as_u64() > Some(0), "HTTP/2 was agreed on inside");
}

#[test]
fn http2_over_cleartext_is_tunnelled_through_it() {
    let engine = Engine::start(Options::default()).unwrap();
    let proxy = Proxy::start(engine.addr(), None);
    let fleet = behind(&proxy, "http://engine.test:8080", "", json!({"http2": "always"}));
    flows(&fleet, &engine);
    assert!(proxy.heads().iter().all(|head| head.starts_with("CONNECT engine.test:8080 ")));
}

#[test]
fn a_proxy_that_wants_other_credentials_is_told_of_without_showing_them() {
    let engine = Engine::start(Options::default()).unwrap();
    let proxy = Proxy::start(engine.addr(), Some(AUTHORIZATION));
    for (url, credentials, word) in [
        ("http://engine.test:8080", "user:wrong-one@", "refuses the credentials"),
        ("https://engine.test", "user:wrong-one@", "refuses the credentials"),
        ("https://engine.test", "", "wants credentials"),
    ] {
        let mut fleet = behind(&proxy, url, credentials, json!({}));
        let told = fleet.event("engine");
        let message = told["message"].as_str().unwrap();
        assert!(
            message.contains(word) && message.contains("407") && !message.contains("wrong-one"),
            "{told}"
        );
        assert!(!fleet.status().to_string().contains("wrong-one"));
    }
}

#[test]
fn an_absent_proxy_is_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let way = json!({"url": "https://engine.test", "proxy": format!("http://127.0.0.1:{port}")});
    let mut fleet = Fleet::over(Options::default(), &[("work", 20_000)], way, json!({}));
    let told = fleet.event("engine")["message"].to_string();
    assert!(told.contains("refused") && told.contains(&port.to_string()), "{told}");
}
