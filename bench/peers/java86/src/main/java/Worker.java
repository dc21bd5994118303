import io.camunda.zeebe.client.ZeebeClient;
import java.net.URI;
import java.time.Duration;

/** The Java client of Camunda 8.6 over REST: one worker that completes every job at once. */
public final class Worker {
  public static void main(String[] args) throws InterruptedException {
    int active = Integer.parseInt(args[2]);
    int threads = Integer.parseInt(args[3]);
    try (ZeebeClient client =
        ZeebeClient.newClientBuilder()
            .usePlaintext()
            .restAddress(URI.create(args[0]))
            .preferRestOverGrpc(true)
            .numJobWorkerExecutionThreads(threads)
            .build()) {
      client
          .newWorker()
          .jobType(args[1])
          .handler((jobs, job) -> jobs.newCompleteCommand(job).send())
          .maxJobsActive(active)
          .timeout(Duration.ofSeconds(60))
          .pollInterval(Duration.ofMillis(1))
          .open();
      Thread.currentThread().join();
    }
  }
}
