//! Camunda's Rust SDK: one worker that completes every job at once.

use std::error::Error;

use camunda_orchestration_sdk::{CamundaClient, CamundaOptions, JobAction, JobWorkerConfig};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, job_type, active] = arguments.as_slice() else {
        return Err("usage: peer URL TYPE ACTIVE".into());
    };
    let client = CamundaClient::new(
        CamundaOptions::new().with("CAMUNDA_REST_ADDRESS", url).with("CAMUNDA_AUTH_STRATEGY", "NONE"),
    )?;
    let config = JobWorkerConfig::new(job_type).max_jobs_to_activate(active.parse()?).job_timeout_ms(60_000);
    client.create_job_worker(config).run(|_job| async { JobAction::complete() }).await?;
    Ok(())
}
