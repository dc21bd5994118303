//! How many connections outcomes share, and how they spread over them.

use std::sync::Mutex;

use super::*;

const FEW: usize = 16;
const MANY: usize = 40;

async fn ready(transport: &Transport, count: usize, line: impl Fn() -> Line) -> Vec<Line> {
    let mut lines: Vec<_> = (0..count).map(|_| line()).collect();
    for line in &mut lines {
        line.ready(transport).await.unwrap();
    }
    lines
}

#[test]
fn many_outcomes_are_spread_over_two_connections() {
    let requests = Arc::new(Mutex::new([0; 2]));
    let counted = Arc::clone(&requests);
    let server = Server::start(move |connection, _| {
        counted.lock().unwrap()[connection] += 1;
        Deed::Answer
    });
    let transport = server.transport();
    run(async {
        let few = ready(&transport, FEW, Line::outcomes).await;
        assert_eq!(transport.connections(Kind::Outcomes), 1);
        let mut lines = ready(&transport, MANY - FEW, Line::outcomes).await;
        assert_eq!(transport.connections(Kind::Outcomes), 2);
        lines.extend(few);
        for line in &mut lines {
            assert_eq!(line.send(&transport, &request(), LIMIT).await.unwrap().status, 204);
        }
    });
    assert_eq!(*requests.lock().unwrap(), [MANY / 2; 2]);
}

#[test]
fn many_polls_share_one_connection() {
    let transport = Server::start(|_, _| Deed::Answer).transport();
    run(async {
        let _lines = ready(&transport, MANY, || Line::polls(0)).await;
        assert_eq!(transport.connections(Kind::Polls), 1);
    });
}

#[test]
fn an_engine_that_serves_one_connection_alone_gets_everything_on_that() {
    for hangs in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server { port: listener.local_addr().unwrap().port(), connections: Arc::default() };
        let accepted = Arc::clone(&server.connections);
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for socket in listener.incoming().flatten() {
                if accepted.fetch_add(1, Ordering::AcqRel) == 0 {
                    std::thread::spawn(move || serve(socket, &[], |_| Deed::Answer));
                } else if hangs {
                    hanging.push(socket);
                }
            }
        });
        let transport = server.transport();
        run(async {
            let mut lines = ready(&transport, MANY, Line::outcomes).await;
            assert_eq!(transport.streams(Kind::Outcomes), MANY as u64);
            for line in &mut lines {
                assert_eq!(line.send(&transport, &request(), LIMIT).await.unwrap().status, 204);
            }
        });
        assert_eq!(server.connections.load(Ordering::Acquire), 2, "a second one was tried once");
    }
}
