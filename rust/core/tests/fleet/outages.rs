//! What stands between a fleet and its engine fails: connections that nobody answers, engines that come back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::rig::{Fleet, Reply};
use jobfleet_localengine::{Dialect, Engine, Options};
use serde_json::{Value, json};

/// A gate before the engine: accepts every connection, and passes on what comes only while it is open.
struct Gate {
    addr: SocketAddr,
    open: Arc<AtomicBool>,
    accepted: Arc<AtomicU64>,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    fn before(engine: &Engine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self {
            addr: listener.local_addr().unwrap(),
            open: Arc::default(),
            accepted: Arc::default(),
            held: Arc::default(),
        };
        let (open, accepted, held) =
            (Arc::clone(&gate.open), Arc::clone(&gate.accepted), Arc::clone(&gate.held));
        let target = engine.addr();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                accepted.fetch_add(1, Ordering::AcqRel);
                held.lock().unwrap().push(client.try_clone().unwrap());
                if open.load(Ordering::Acquire) {
                    let Ok(engine) = TcpStream::connect(target) else { return };
                    held.lock().unwrap().push(engine.try_clone().unwrap());
                    let (there, back) = (engine.try_clone().unwrap(), client.try_clone().unwrap());
                    thread::spawn(move || pump(client, there));
                    thread::spawn(move || pump(engine, back));
                }
            }
        });
        gate
    }

    /// From now on connections are passed on, or no longer; those that are open are left as they are.
    fn set(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }

    /// Breaks every connection.
    fn break_all(&self) {
        for stream in self.held.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn fleet_behind_a_gate(dialect: Dialect, open: bool, hold_ms: u64) -> (Fleet, Gate) {
    let engine = Engine::start(Options { dialect, ..Options::default() }).unwrap();
    let gate = Gate::before(&engine);
    gate.set(open);
    let more = json!({
        "engine": {"kind": "camunda", "url": format!("http://{}", gate.addr)},
        "answer_limit_ms": 1_000,
        "hold_ms": hold_ms,
    });
    let work = json!({"type": "work", "lane": 0, "slots": 1, "lease_ms": 20_000});
    (Fleet::on(engine, more, vec![work]), gate)
}

fn state(status: &Value) -> &str {
    status["engine"]["state"].as_str().unwrap()
}

#[test]
fn an_engine_that_accepts_and_never_answers_is_told_and_found_when_it_answers() {
    for dialect in [Dialect::V8_6, Dialect::V8_10] {
        let (fleet, gate) = fleet_behind_a_gate(dialect, false, 50);
        let _worker = fleet.worker(|_| Reply::Complete);
        fleet.add_jobs("work", 50);
        let status = fleet.until_status("told", |status| state(status) == "down");
        assert_eq!(status["engine"]["message"], "no answer in time");
        // Each try is over in time and is followed by another one, over a connection of its own.
        let accepted = gate.accepted.load(Ordering::Acquire);
        fleet.until("more tries", |_| gate.accepted.load(Ordering::Acquire) >= accepted + 2);
        gate.set(true);
        fleet.until("all done", |account| account["completed"] == 50);
        fleet.until_status("up", |status| state(status) == "up" && status["in_flight"] == 0);
        fleet.assert_clean();
    }
}

#[test]
fn connections_that_go_silent_under_way_are_replaced() {
    let (fleet, gate) = fleet_behind_a_gate(Dialect::V8_10, true, 50);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 50);
    fleet.until("under way", |account| account["completed"] == 50);
    // An answer that the gate loses is asked for again, and the account could not tell why.
    fleet.until_status("answered", |status| status["in_flight"] == 0);
    gate.set(false);
    gate.break_all();
    fleet.until_status("told", |status| state(status) == "down");
    // An engine that has not seen yet that its client left gives jobs to nobody.
    fleet.until("noticed", |_| fleet.engine.held_polls() == 0);
    fleet.add_jobs("work", 50);
    gate.set(true);
    let account = fleet.until("all done", |account| account["completed"] == 100);
    assert_eq!(account["failed"], 0, "{account}");
    fleet.assert_clean();
}

#[test]
fn a_held_poll_that_breaks_while_the_fleet_drains_is_told_where_it_may_cost_a_job() {
    for (dialect, costs) in [(Dialect::V8_6, true), (Dialect::V8_10, false)] {
        let (mut fleet, gate) = fleet_behind_a_gate(dialect, true, 600_000);
        let _worker = fleet.worker(|_| Reply::Complete);
        fleet.until_held(1);
        fleet.core.stop_activation().unwrap();
        if costs {
            fleet.until_status("the drain waits for the poll", |status| status["held_polls"] == 1);
            fleet.assert_no_event(|event| event["event"] == "drained");
        }
        gate.break_all();
        if costs {
            let told = fleet.event("notice");
            let words = told["message"].as_str().unwrap();
            assert!(words.contains("poll for work ended without an answer"), "{told}");
        }
        fleet.event("drained");
        fleet.assert_no_event(|event| event["event"] == "notice");
    }
}
