use std::time::Duration;

use super::*;

fn answer(status: u16, content_type: &str, body: &str) -> Answer {
    Answer {
        status,
        content_type: content_type.to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        whole: true,
    }
}

fn problem(status: u16, title: &str, detail: &str) -> Answer {
    let body = serde_json::json!({"type": "about:blank", "title": title, "status": status, "detail": detail});
    answer(status, "application/problem+json", &body.to_string())
}

fn jobs(text: &str) -> Activation {
    Camunda::new().read_activation(&answer(200, "application/json", text)).unwrap()
}

fn complete() -> Command {
    Command::Settle(Outcome::Complete { variables: None, result: None })
}

#[test]
fn both_shapes_of_a_job_are_read() {
    let found = jobs(
        r#"{"jobs":[{"key":2251799813685259,"type":"work","retries":3,"deadline":1795253033813,"variables":{"key":1}},
            {"deadline":"12","retries":2,"kind":"NEVER_SEEN","new":[1],"jobKey":"42","leaseToken":"a\"b"}],"more":1}"#,
    );
    assert_eq!(found.jobs.len(), 2);
    assert_eq!(found.jobs[0].key(), "2251799813685259");
    assert_eq!((found.jobs[0].retries, found.jobs[0].deadline_ms), (3, Some(1_795_253_033_813)));
    assert_eq!((found.jobs[1].key(), found.jobs[1].token()), ("42", Some(r#""a\"b""#)));
    assert!(!found.cut);
}

#[test]
fn a_bad_job_does_not_cost_its_batch() {
    let found = jobs(r#"{"jobs":[{"key":1},{"key":"../x"},7,null,{"key":-5}]}"#);
    assert_eq!(found.jobs.iter().map(Job::key).collect::<Vec<_>>(), ["1", "-5"]);
    assert_eq!(found.unreadable, 3);
}

#[test]
fn a_cut_answer_still_yields_its_whole_jobs() {
    let found = jobs(r#"{"jobs":[{"key":1},{"key":2},{"key":3,"vari"#);
    assert_eq!(found.jobs.len(), 2);
    assert!(found.cut);
}

#[test]
fn a_page_of_a_proxy_is_not_a_confirmation() {
    let page = answer(200, "text/html", "<html>sign in</html>");
    assert!(matches!(Camunda::new().judge(&complete(), &page), Verdict::PathOutage(_)));
}

#[test]
fn a_page_of_a_proxy_is_not_an_empty_answer() {
    let page = answer(200, "text/html", "<html>maintenance</html>");
    assert!(matches!(Camunda::new().read_activation(&page), Err(Refusal::Wrong(_))));
}

#[test]
fn backpressure_is_recognised_in_every_encoding() {
    let engine = Camunda::new();
    for refused in [
        problem(429, "RESOURCE_EXHAUSTED", ""),
        problem(503, "RESOURCE_EXHAUSTED", ""),
        problem(500, "java.lang.RuntimeException", "code: RESOURCE_EXHAUSTED, message"),
        answer(503, "", ""),
    ] {
        assert_eq!(engine.read_activation(&refused).unwrap_err(), Refusal::Backpressure);
        assert_eq!(engine.judge(&complete(), &refused), Verdict::Backpressure);
    }
}

#[test]
fn only_the_engines_own_not_found_and_invalid_state_are_final() {
    let engine = Camunda::new();
    assert_eq!(engine.judge(&complete(), &problem(404, "NOT_FOUND", "")), Verdict::Final);
    assert_eq!(engine.judge(&complete(), &problem(409, "INVALID_STATE", "")), Verdict::Final);
    for outage in [
        problem(404, "Not Found", ""),
        answer(404, "application/json", r#"{"status":404,"error":"Not Found"}"#),
        answer(404, "text/html", "<html>"),
        answer(405, "", ""),
        answer(302, "text/html", "<html>"),
    ] {
        assert!(matches!(engine.judge(&complete(), &outage), Verdict::PathOutage(_)), "{outage:?}");
    }
}

#[test]
fn an_answer_that_never_becomes_good_is_told_apart_from_an_outage() {
    let engine = Camunda::new();
    for rejected in [
        problem(400, "INVALID_ARGUMENT", "bad"),
        problem(500, "EXCEEDED_BATCH_RECORD_SIZE", ""),
        answer(413, "text/html", "<html>"),
    ] {
        assert!(matches!(engine.judge(&complete(), &rejected), Verdict::Rejected { .. }), "{rejected:?}");
    }
    let partition = problem(503, "io.camunda.PartitionNotFoundException", "");
    assert!(matches!(engine.judge(&complete(), &partition), Verdict::Stubborn(_)));
    assert!(matches!(engine.judge(&complete(), &problem(500, "INTERNAL_ERROR", "")), Verdict::Ambiguous(_)));
}

#[test]
fn a_renewal_of_a_job_that_is_not_active_is_refused() {
    let renew = Command::Renew(Duration::from_secs(1));
    let inactive = problem(400, "INVALID_ARGUMENT", "job is not active");
    assert_eq!(Camunda::new().judge(&renew, &inactive), Verdict::Final);
    assert!(matches!(Camunda::new().judge(&complete(), &inactive), Verdict::Rejected { .. }));
}

#[test]
fn commands_carry_absolute_retries_and_the_token() {
    let engine = Camunda::new();
    let found = jobs(r#"{"jobs":[{"jobKey":"7","retries":3,"jobLeaseToken":"t"}]}"#);
    let job = &found.jobs[0];
    let body = |outcome| {
        let request = engine.command(job, &Command::Settle(outcome));
        (request.path, serde_json::from_slice::<serde_json::Value>(&request.body).unwrap())
    };
    let fail =
        Outcome::Fail { message: "x\"y".into(), retries: None, backoff_ms: Some(1000), variables: None };
    let (path, sent) = body(fail);
    assert_eq!(path, "/v2/jobs/7/failure");
    assert_eq!(
        sent,
        serde_json::json!({"retries":2,"errorMessage":"x\"y","retryBackOff":1000,"jobLeaseToken":"t"})
    );
    let (_, sent) = body(Outcome::HandBack { message: "m".into(), backoff_ms: 0 });
    assert_eq!(sent["retries"], 3);
    let (path, sent) =
        body(Outcome::Complete { variables: Some(Bytes::from_static(b"{\"a\":1.0}")), result: None });
    assert_eq!(path, "/v2/jobs/7/completion");
    assert_eq!(sent, serde_json::json!({"variables":{"a":1.0},"jobLeaseToken":"t"}));
    let renew = engine.command(job, &Command::Renew(Duration::from_secs(5)));
    assert_eq!(&renew.body[..], br#"{"changeset":{"timeout":5000},"jobLeaseToken":"t"}"#);
    assert_eq!((renew.method, renew.path.as_str()), (Method::Patch, "/v2/jobs/7"));
}

#[test]
fn the_version_decides_whether_departed_clients_are_noticed() {
    let mut engine = Camunda::new();
    assert!(!engine.capabilities().notices_departed_clients);
    for (version, notices) in [("8.6.0", false), ("8.10.0-alpha5", true), ("9.0.0", false)] {
        let topology = format!(r#"{{"brokers":[],"gatewayVersion":"{version}"}}"#);
        engine.learn(&answer(200, "application/json", &topology)).unwrap();
        assert_eq!(engine.version().as_deref(), Some(version));
        assert_eq!(engine.capabilities().notices_departed_clients, notices, "{version}");
    }
    assert!(engine.learn(&answer(200, "text/html", "<html>")).is_err());
}
