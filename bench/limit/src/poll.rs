//! Activation: asks for the next jobs while the lanes still have some.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use memchr::memmem::Finder;

use crate::connection::Connection;
use crate::options::Options;
use crate::queue::Queue;
use crate::tally::Tally;

/// Polls until something breaks, and returns that.
pub(crate) async fn run(options: Arc<Options>, queue: Arc<Queue>, tally: Arc<Tally>) -> io::Error {
    match forever(&options, &queue, &tally).await {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn forever(options: &Options, queue: &Queue, tally: &Tally) -> io::Result<std::convert::Infallible> {
    let mut connection = Connection::new(&options.authority)?;
    let path = format!("{}/jobs/activation", options.base);
    let body = Bytes::from(
        serde_json::json!({
            "type": options.job_type,
            "maxJobsToActivate": options.batch,
            "timeout": 60_000,
            "requestTimeout": 10_000,
            "worker": "limit",
        })
        .to_string(),
    );
    loop {
        queue.below(options.batch).await;
        let (status, answer) = connection.post(&path, body.clone()).await?;
        if status != StatusCode::OK {
            tally.error();
            return Err(io::Error::other(format!("activation answered {status}")));
        }
        queue.push(keys(&answer));
    }
}

/// The keys of the jobs of an answer: `"jobKey":"1"`, or `"key":1` as engines before 8.7 write it.
fn keys(answer: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let new = Finder::new(b"\"jobKey\":").find(answer).is_some();
    let name: &[u8] = if new { b"\"jobKey\":" } else { b"{\"key\":" };
    memchr::memmem::find_iter(answer, name).filter_map(move |at| {
        let start = at + name.len();
        let rest = answer.get(start..)?;
        let quoted = usize::from(rest.first() == Some(&b'"'));
        let digits = rest.get(quoted..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        Some(answer.slice(start + quoted..start + quoted + digits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(answer: &'static str) -> Vec<Bytes> {
        keys(&Bytes::from_static(answer.as_bytes())).collect()
    }

    #[test]
    fn keys_of_both_shapes_are_found() {
        let new = r#"{"jobs":[{"type":"a","jobKey":"17","processInstanceKey":"3"},{"jobKey":"18"}]}"#;
        assert_eq!(found(new), ["17", "18"]);
        let old = r#"{"jobs":[{"key":17,"type":"a","variables":{"x":1}},{"key":18,"type":"a"}]}"#;
        assert_eq!(found(old), ["17", "18"]);
        assert_eq!(found(r#"{"jobs":[]}"#), Vec::<Bytes>::new());
    }
}
