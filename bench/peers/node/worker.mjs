// Camunda's Node SDK: one worker that completes every job at once.
import createCamundaClient from '@camunda8/orchestration-cluster-api';

const [url, jobType, parallel] = process.argv.slice(2);
const client = createCamundaClient({
  config: { CAMUNDA_REST_ADDRESS: url, CAMUNDA_AUTH_STRATEGY: 'NONE', CAMUNDA_SDK_LOG_LEVEL: 'error' },
});
client.createJobWorker({
  jobType,
  maxParallelJobs: Number(parallel),
  jobTimeoutMs: 60_000,
  pollIntervalMs: 1,
  validateSchemas: false,
  jobHandler: (job) => job.complete(),
});
