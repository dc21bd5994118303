//! What the engine itself costs: bare lanes against it, and the CPU time of its thread per completed job.
//!
//! `cargo run --release -p jobfleet-localengine --example load -- [lanes] [seconds] [dialect]`

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jobfleet_localengine::{Dialect, Engine, NewJobs, Options, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::LocalSet;

type Failure = Box<dyn Error>;

const ACTIVATION: &str =
    r#"{"type":"noop","worker":"load","timeout":60000,"maxJobsToActivate":256,"requestTimeout":1000}"#;
const RESULT: &str = r#"{"variables":{"approved":true,"by":"nobody","note":"a result of about a hundred bytes, as jobs have them"}}"#;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let lanes = arguments.next().map_or(Ok(32), |text| text.parse())?;
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let dialect = match arguments.next().as_deref() {
        Some("8.6") => Dialect::V8_6,
        Some("8.8") => Dialect::V8_8,
        _ => Dialect::V8_10,
    };
    // The lanes below read no chunks.
    let settings = Settings { chunked: Some(false), ..Settings::default() };
    let engine = Engine::start(Options { dialect, settings, ..Options::default() })?;
    let variables = format!(r#"{{"order":"{}","amount":12.5}}"#, "x".repeat(72));
    engine.add_endless(NewJobs::new("noop", 1).variables(variables));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let before = engine_cpu()?;
    let start = Instant::now();
    LocalSet::new().block_on(&runtime, drive(engine.addr(), lanes, start + Duration::from_secs(seconds)));
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = engine_cpu()?.saturating_sub(before).as_secs_f64() * 1e6;
    let account = engine.account();
    let jobs = account.completed as f64;
    println!("{lanes} lanes: {:.0} jobs/s, engine {:.2} µs CPU per job", jobs / elapsed, cpu / jobs);
    println!("{account:?}");
    Ok(())
}

/// CPU time of the engine's thread.
fn engine_cpu() -> Result<Duration, Failure> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if std::fs::read_to_string(path.join("comm"))?.trim() == "jobfleet-engine" {
            let schedstat = std::fs::read_to_string(path.join("schedstat"))?;
            return Ok(Duration::from_nanos(schedstat.split(' ').next().unwrap_or("0").parse()?));
        }
    }
    Err("no engine thread".into())
}

/// The keys waiting for a lane; one lane at a time fetches more.
#[derive(Default)]
struct Supply {
    keys: RefCell<VecDeque<String>>,
    fetching: Cell<bool>,
    more: Notify,
}

async fn drive(addr: SocketAddr, lanes: usize, end: Instant) {
    let supply = Rc::new(Supply::default());
    let tasks: Vec<_> =
        (0..lanes).map(|_| tokio::task::spawn_local(lane(addr, supply.clone(), end))).collect();
    for task in tasks {
        if let Ok(Err(error)) = task.await {
            eprintln!("lane: {error}");
        }
    }
}

async fn lane(addr: SocketAddr, supply: Rc<Supply>, end: Instant) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while Instant::now() < end {
        let key = supply.keys.borrow_mut().pop_front();
        if let Some(key) = key {
            post(&mut stream, &mut buffer, &format!("/v2/jobs/{key}/completion"), RESULT).await?;
        } else if supply.fetching.replace(true) {
            supply.more.notified().await;
        } else {
            post(&mut stream, &mut buffer, "/v2/jobs/activation", ACTIVATION).await?;
            supply.keys.borrow_mut().extend(keys(std::str::from_utf8(&buffer)?));
            supply.fetching.set(false);
            supply.more.notify_waiters();
        }
    }
    supply.fetching.set(false);
    supply.more.notify_waiters();
    Ok(())
}

/// The job keys of an activation answer, in either form.
fn keys(answer: &str) -> impl Iterator<Item = String> {
    let parts = answer.split("{\"jobKey\":\"").skip(1).chain(answer.split("{\"key\":").skip(1));
    parts.map(|part| part.chars().take_while(char::is_ascii_digit).collect())
}

/// Posts and reads the answer whole; the buffer holds head and body.
async fn post(stream: &mut TcpStream, buffer: &mut Vec<u8>, path: &str, body: &str) -> Result<(), Failure> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the engine closed the connection".into());
        }
        if let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
            let length: usize = length.map_or(Ok(0), str::parse)?;
            while buffer.len() < head + 4 + length {
                stream.read_buf(buffer).await?;
            }
            return Ok(());
        }
    }
}
