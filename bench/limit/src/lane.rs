//! Completion: one request per job.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::StatusCode;

use crate::connection::Connection;
use crate::options::Options;
use crate::queue::Queue;
use crate::tally::Tally;

/// Completes jobs until something breaks, and returns that.
pub(crate) async fn run(options: Arc<Options>, queue: Arc<Queue>, tally: Arc<Tally>) -> io::Error {
    match forever(&options, &queue, &tally).await {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn forever(options: &Options, queue: &Queue, tally: &Tally) -> io::Result<std::convert::Infallible> {
    let mut connection = Connection::new(&options.authority)?;
    let mut path = String::new();
    loop {
        let key = queue.pop(options.batch).await;
        path.clear();
        path.push_str(&options.base);
        path.push_str("/jobs/");
        path.push_str(str::from_utf8(&key).unwrap_or_default());
        path.push_str("/completion");
        let sent = Instant::now();
        let (status, _) = connection.post(&path, Bytes::from_static(b"{}")).await?;
        if status == StatusCode::NO_CONTENT {
            tally.completed(sent.elapsed());
        } else {
            tally.error();
        }
    }
}
