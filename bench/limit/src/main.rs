//! The bare loop: activate jobs and complete each with one request, with nothing in between. Owns the limit
//! figures; knows nothing of jobfleet's crates.

mod connection;
mod lane;
mod options;
mod poll;
mod queue;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use options::{Options, USAGE};
use queue::Queue;
use tally::Tally;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(options) => match run(options) {
            Ok(report) => {
                println!("{report}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string(), 1),
        },
        Err(message) => fail(&format!("{message}\n{USAGE}"), 2),
    }
}

fn fail(message: &str, status: u8) -> ExitCode {
    eprintln!("jobfleet-limit: {message}");
    ExitCode::from(status)
}

fn run(options: Options) -> std::io::Result<serde_json::Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = Arc::new(options);
        let queue = Arc::new(Queue::default());
        let tally = Arc::new(Tally::new().map_err(std::io::Error::other)?);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..options.polls {
            tasks.spawn(poll::run(options.clone(), queue.clone(), tally.clone()));
        }
        for _ in 0..options.lanes {
            tasks.spawn(lane::run(options.clone(), queue.clone(), tally.clone()));
        }
        let measured = async {
            tokio::time::sleep(Duration::from_secs_f64(options.warm_up_s)).await;
            tally.restart();
            tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
            tally.report()
        };
        tokio::select! {
            report = measured => Ok(report),
            // A task ends by an error alone.
            Some(ended) = tasks.join_next() => Err(match ended {
                Ok(error) => error,
                Err(error) => std::io::Error::other(error),
            }),
        }
    })
}
