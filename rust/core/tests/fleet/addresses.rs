//! Engines whose name resolves to several addresses, to dead ones, or for a while to none.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use jobfleet_core::Core;
use jobfleet_localengine::{Engine, Options, Settings};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use serde_json::{Value, json};

use crate::rig::{Fleet, Reply, plain, settings};

/// A fleet of an engine that is known by a name, and the engine's address. Each request takes a connection.
fn named(way: Value, resolved: impl FnOnce(SocketAddr) -> Vec<SocketAddr>) -> (Fleet, SocketAddr) {
    named_with(way, json!({"hold_ms": 200}), resolved)
}

fn named_with(
    way: Value,
    more: Value,
    resolved: impl FnOnce(SocketAddr) -> Vec<SocketAddr>,
) -> (Fleet, SocketAddr) {
    let each = Settings { max_requests_per_connection: Some(1), ..Settings::default() };
    let engine = Engine::start(Options { settings: each, ..Options::default() }).unwrap();
    let address = engine.addr();
    let mut all = json!({"url": format!("http://engine.test:{}", address.port())});
    all.as_object_mut().unwrap().extend(way.as_object().unwrap().clone());
    let core = Core::new(settings(all, more).to_string().as_bytes()).unwrap();
    core.pin_addresses(Some(resolved(address))).unwrap();
    (Fleet::around(engine, core, plain(&[("work", 20_000)])), address)
}

/// An address that refuses.
fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An address that lets everybody wait, for as long as this lives: its queue is full.
struct Full {
    address: SocketAddr,
    _listener: std::os::fd::OwnedFd,
    _queued: Vec<TcpStream>,
}

impl Full {
    fn new() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&listener, 0).unwrap();
        let address = SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let queued = std::iter::from_fn(|| connect().ok()).collect();
        Self { address, _listener: listener, _queued: queued }
    }
}

/// An address that accepts every connection and answers nothing.
struct Silent {
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
}

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = Self { address: listener.local_addr().unwrap(), accepted: Arc::default() };
        let accepted = Arc::clone(&silent.accepted);
        thread::spawn(move || {
            let mut held = Vec::new();
            for client in listener.incoming() {
                held.push(client);
                accepted.fetch_add(1, Ordering::AcqRel);
            }
        });
        silent
    }

    fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire)
    }
}

fn assert_works(fleet: &mut Fleet) {
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 50);
    fleet.until("all done", |account| account["completed"] == 50);
    fleet.until_status("many connections", |status| {
        status["engine"]["connections_opened"].as_u64() > Some(20) && status["in_flight"] == 0
    });
    fleet.assert_no_event(|event| event["state"] == "down");
    fleet.assert_clean();
}

#[test]
fn an_address_that_refuses_is_passed_over() {
    let (mut fleet, _) = named(json!({}), |engine| vec![dead(), engine]);
    assert_works(&mut fleet);
}

#[test]
fn an_address_that_lets_everybody_wait_holds_up_nobody() {
    let full = Full::new();
    // Nobody waits for the end of the ten minutes.
    let (mut fleet, _) = named(json!({"connect_limit_ms": 600_000}), |engine| vec![full.address, engine]);
    assert_works(&mut fleet);
}

#[test]
fn an_address_that_answers_nothing_is_tried_after_the_others() {
    for http2 in ["never", "always"] {
        let silent = Silent::new();
        let (fleet, _) = named_with(
            json!({"http2": http2}),
            json!({"hold_ms": 200, "answer_limit_ms": 1_000}),
            |engine| vec![silent.address, engine],
        );
        let _worker = fleet.worker(|_| Reply::Complete);
        fleet.add_jobs("work", 50);
        fleet.until("all done", |account| account["completed"] == 50);
        fleet.until_status("settled", |status| status["in_flight"] == 0);
        let before = (silent.accepted(), opened(&fleet));
        assert!(before.0 > 0, "nobody was there");
        fleet.add_jobs("work", 200);
        fleet.until("all done", |account| account["completed"] == 250);
        assert_eq!(silent.accepted(), before.0, "{http2}: {} others were opened", opened(&fleet) - before.1);
        fleet.assert_clean();
    }
}

fn opened(fleet: &Fleet) -> u64 {
    fleet.status()["engine"]["connections_opened"].as_u64().unwrap()
}

#[test]
fn an_engine_that_accepts_no_connection_in_time_is_told_and_found_elsewhere() {
    let full = Full::new();
    let (mut fleet, address) = named(json!({"connect_limit_ms": 300}), |_| vec![full.address]);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 50);
    let told = fleet.event("engine");
    let words = format!("{} does not accept a connection in 0.3 s", full.address);
    assert!(told["message"].as_str().unwrap().contains(&words), "{told}");
    fleet.core.pin_addresses(Some(vec![address])).unwrap();
    fleet.until("all done", |account| account["completed"] == 50);
    fleet.assert_clean();
}

#[test]
fn polls_and_outcomes_outlast_a_name_that_cannot_be_resolved() {
    let (fleet, address) = named(json!({}), |engine| vec![engine]);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 50);
    fleet.until("under way", |account| account["completed"].as_u64() > Some(0));
    fleet.core.pin_addresses(Some(Vec::new())).unwrap();
    let down = fleet.until_status("down", |status| status["engine"]["state"] == "down");
    assert!(down["engine"]["message"].as_str().unwrap().contains("cannot resolve engine.test"), "{down}");
    fleet.add_jobs("work", 50);
    fleet.core.pin_addresses(Some(vec![address])).unwrap();
    let account = fleet.until("all done", |account| account["completed"] == 100);
    assert_eq!(account["failed"], 0, "{account}");
    fleet.until_status("up", |status| status["engine"]["state"] == "up" && status["held_polls"] == 1);
    fleet.assert_clean();
}
