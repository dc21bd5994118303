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
    Camunda::new(true).read_activation(&answer(200, "application/json", text)).unwrap()
}

fn complete() -> Command {
    Command::Settle(Outcome::Complete { variables: None, result: None, business_id: None })
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
    assert!(matches!(Camunda::new(true).judge(&complete(), &page), Verdict::PathOutage(_)));
}

#[test]
fn a_page_of_a_proxy_is_not_an_empty_answer() {
    let page = answer(200, "text/html", "<html>maintenance</html>");
    assert!(matches!(Camunda::new(true).read_activation(&page), Err(Refusal::Wrong(_))));
}

#[test]
fn backpressure_is_recognised_in_every_encoding() {
    let engine = Camunda::new(true);
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
    let engine = Camunda::new(true);
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
    let engine = Camunda::new(true);
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
    assert_eq!(Camunda::new(true).judge(&renew, &inactive), Verdict::Final);
    assert!(matches!(Camunda::new(true).judge(&complete(), &inactive), Verdict::Rejected { .. }));
}

#[test]
fn commands_carry_absolute_retries_and_the_token() {
    let engine = Camunda::new(true);
    let found = jobs(r#"{"jobs":[{"jobKey":"7","retries":3,"jobLeaseToken":"t"}]}"#);
    let job = &found.jobs[0];
    let body = |outcome| {
        let request = engine.command(job, &Command::Settle(outcome), true);
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
    let (path, sent) = body(Outcome::Complete {
        variables: Some(Bytes::from_static(b"{\"a\":1.0}")),
        result: None,
        business_id: None,
    });
    assert_eq!(path, "/v2/jobs/7/completion");
    assert_eq!(sent, serde_json::json!({"variables":{"a":1.0},"jobLeaseToken":"t"}));
    let renew = engine.command(job, &Command::Renew(Duration::from_secs(5)), true);
    assert_eq!(&renew.body[..], br#"{"changeset":{"timeout":5000},"jobLeaseToken":"t"}"#);
    assert_eq!((renew.method, renew.path.as_str()), (Method::Patch, "/v2/jobs/7"));
}

#[test]
fn the_version_decides_whether_departed_clients_are_noticed() {
    let mut engine = Camunda::new(true);
    assert!(!engine.capabilities().notices_departed_clients);
    for (version, notices) in [("8.6.0", false), ("8.10.0-alpha5", true), ("9.0.0", false)] {
        let topology = format!(r#"{{"brokers":[],"gatewayVersion":"{version}"}}"#);
        engine.learn(&answer(200, "application/json", &topology)).unwrap();
        assert_eq!(engine.version().as_deref(), Some(version));
        assert_eq!(engine.capabilities().notices_departed_clients, notices, "{version}");
    }
    assert!(engine.learn(&answer(200, "text/html", "<html>")).is_err());
}

fn known(version: &str) -> Camunda {
    let mut engine = Camunda::new(true);
    engine.learn(&topology(version)).unwrap();
    engine
}

fn topology(version: &str) -> Answer {
    answer(200, "application/json", &format!(r#"{{"gatewayVersion":"{version}"}}"#))
}

fn asked(engine: &Camunda, tenants: &[String], all_tenants: bool) -> serde_json::Value {
    let ask = Ask {
        job_type: "t",
        jobs: 3,
        lease: Duration::from_secs(60),
        hold: Duration::from_secs(10),
        fetch: None,
        tenants,
        all_tenants,
        worker: "w",
    };
    serde_json::from_slice(&engine.activation(&ask).body).unwrap()
}

#[test]
fn an_activation_asks_for_what_the_version_knows_and_for_no_more() {
    let tenants = ["red".to_owned(), "blue".to_owned()];
    for (version, lease, filter) in [("8.6.0", false, false), ("8.9.3", false, true), ("8.10.0", true, true)]
    {
        let sent = asked(&known(version), &tenants, true);
        assert_eq!(
            (sent.get("withLease").is_some(), sent.get("tenantFilter").is_some()),
            (lease, filter),
            "{version}"
        );
        assert_eq!(sent["tenantIds"], serde_json::json!(["red", "blue"]));
    }
    let plain = asked(&known("8.10.0"), &[], false);
    assert!(plain.get("tenantIds").is_none() && plain.get("tenantFilter").is_none(), "{plain}");
    let unknown = asked(&Camunda::new(true), &[], true);
    assert!(unknown.get("withLease").is_none() && unknown["tenantFilter"] == "ASSIGNED", "{unknown}");
    let mut unfenced = Camunda::new(false);
    unfenced.learn(&topology("8.10.0")).unwrap();
    assert!(asked(&unfenced, &[], false).get("withLease").is_none());
}

#[test]
fn a_refused_lease_is_not_asked_for_again_until_the_version_is_learnt_anew() {
    let mut engine = known("8.10.0");
    let other = problem(400, "INVALID_ARGUMENT", "No tenant identifier was provided.");
    assert!(matches!(engine.read_activation(&other), Err(Refusal::Refused(_))));
    assert_eq!(asked(&engine, &[], false)["withLease"], true);
    let refused = problem(400, "Bad Request", "Request property [withLease] cannot be parsed");
    assert!(matches!(engine.read_activation(&refused), Err(Refusal::Unsupported(_))));
    assert!(asked(&engine, &[], false).get("withLease").is_none());
    assert!(!engine.capabilities().fencing);
    engine.learn(&topology("8.10.0")).unwrap();
    assert_eq!(asked(&engine, &[], false)["withLease"], true);
}

#[test]
fn jobs_of_another_version_than_the_known_one_are_noticed() {
    let old = r#"{"jobs":[{"key":1}]}"#;
    let middle = r#"{"jobs":[{"jobKey":"1"}]}"#;
    let newest = r#"{"jobs":[{"jobKey":"1","physicalTenantId":"x","jobLeaseToken":"t"}]}"#;
    let tokenless = r#"{"jobs":[{"jobKey":"1","physicalTenantId":"x","jobLeaseToken":null}]}"#;
    for (version, text, drifted) in [
        ("8.6.0", old, false),
        ("8.6.0", middle, true),
        ("8.8.9", old, true),
        ("8.8.9", middle, false),
        ("8.8.9", newest, true),
        ("8.10.0", newest, false),
        ("8.10.0", tokenless, true),
        ("8.10.0", r#"{"jobs":[]}"#, false),
    ] {
        let found = known(version).read_activation(&answer(200, "application/json", text)).unwrap();
        assert_eq!(found.drifted, drifted, "{version} {text}");
    }
}

#[test]
fn a_token_goes_back_under_the_name_that_it_came_under() {
    for (text, name) in [
        (r#"{"jobs":[{"jobKey":"7","jobLeaseToken" : "t\"x"}]}"#, "jobLeaseToken"),
        (r#"{"jobs":[{"jobKey":"7","leaseToken":"t\"x"}]}"#, "leaseToken"),
    ] {
        let engine = known("8.10.0");
        let job = jobs(text).jobs.remove(0);
        let body = |with_token| -> serde_json::Value {
            serde_json::from_slice(&engine.command(&job, &complete(), with_token).body).unwrap()
        };
        assert_eq!(body(true), serde_json::json!({name: "t\"x"}));
        assert_eq!(body(false), serde_json::json!({}));
    }
}

#[test]
fn a_server_that_does_not_know_tokens_is_told_apart_from_a_rejection() {
    let unknown = problem(400, "Bad Request", "Request property [jobLeaseToken] cannot be parsed");
    assert!(matches!(Camunda::new(true).judge(&complete(), &unknown), Verdict::TokenUnknown(_)));
}

#[test]
fn an_error_thrown_by_a_listener_is_a_rejection_and_not_somebody_elses_job() {
    let error = Command::Settle(Outcome::Error { code: "C".into(), message: None, variables: None });
    let words = "Cannot throw BPMN error from EXECUTION_LISTENER job with key '7'";
    let refused = problem(409, "INVALID_STATE", words);
    assert!(matches!(Camunda::new(true).judge(&error, &refused), Verdict::Rejected { .. }));
    assert_eq!(Camunda::new(true).judge(&complete(), &refused), Verdict::Final);
}

#[test]
fn an_answer_that_would_be_too_large_is_no_backpressure() {
    for too_large in [
        problem(500, "EXCEEDED_BATCH_RECORD_SIZE", ""),
        problem(503, "RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4194304: 5000000"),
        answer(413, "text/html", "<html>"),
    ] {
        let refusal = Camunda::new(true).read_activation(&too_large).unwrap_err();
        assert!(matches!(refusal, Refusal::TooLarge(_)), "{refusal:?}");
    }
}

#[test]
fn a_failure_without_a_back_off_of_its_own_gets_the_usual_one() {
    let job = jobs(r#"{"jobs":[{"key":7,"retries":3}]}"#).jobs.remove(0);
    let fail = Outcome::Fail { message: "m".into(), retries: None, backoff_ms: None, variables: None };
    let request = known("8.6.0").command(&job, &Command::Settle(fail), true);
    let sent: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(sent, serde_json::json!({"retries": 2, "errorMessage": "m", "retryBackOff": 1000}));
}

#[test]
fn a_completion_carries_its_result_and_business_id() {
    let job = jobs(r#"{"jobs":[{"jobKey":"7"}]}"#).jobs.remove(0);
    let outcome = Outcome::Complete {
        variables: None,
        result: Some(Bytes::from_static(br#"{"type":"userTask","denied":true}"#)),
        business_id: Some("order \"7\"".into()),
    };
    let request = known("8.10.0").command(&job, &Command::Settle(outcome), true);
    let sent: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let result = serde_json::json!({"type": "userTask", "denied": true});
    assert_eq!(sent, serde_json::json!({"result": result, "businessId": "order \"7\""}));
}

#[test]
fn jobs_prove_the_version_where_the_credentials_may_not_read_it() {
    let mut engine = Camunda::new(true);
    assert!(engine.learn(&problem(403, "FORBIDDEN", "")).is_err());
    let text = r#"{"jobs":[{"jobKey":"1","physicalTenantId":"x"}]}"#;
    engine.read_activation(&answer(200, "application/json", text)).unwrap();
    assert_eq!(asked(&engine, &[], false)["withLease"], true);
    engine.learn(&topology("8.8.0")).unwrap();
    assert!(asked(&engine, &[], false).get("withLease").is_none());
}
