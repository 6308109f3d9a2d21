//! The transport against real sockets: what is sent, over which connections, and what is concluded
//! when no answer comes.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail by panicking; clippy excuses only the tests themselves"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use platforms::{Call, Repeat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use transport::{
    BytesStream, HostOverrides, Limits, NoAnswer, NoAnswerKind, Push, SourceError, Transport,
};

const HOST: &str = "api.example";
const LONG: Duration = Duration::from_secs(20);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// What the stand-in does with each request.
#[derive(Clone)]
enum Does {
    Answers(String),
    Closes,
    Waits,
}

/// A stand-in platform: counts connections and hands over each request as it came.
struct Server {
    transport: Transport,
    connections: Arc<AtomicUsize>,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Server {
    async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (told, requests) = mpsc::unbounded_channel();
        let counted = connections.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, does.clone(), told.clone()));
            }
        });
        Self {
            transport: transport_to(port),
            connections,
            requests,
        }
    }

    async fn answering(answer: &str) -> Self {
        Self::that(Does::Answers(answer.to_owned())).await
    }

    async fn send(&self, repeat: Repeat, timeout: Duration) -> Result<StatusCode, NoAnswer> {
        let answer = self.transport.send(call(repeat), timeout).await?;
        Ok(answer.status())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads requests one after the other, headers and body, as HTTP/1.1 frames them.
async fn serve(mut socket: TcpStream, does: Does, told: mpsc::UnboundedSender<String>) {
    let mut read = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            match socket.read_buf(&mut read).await {
                Ok(1..) => {}
                _ => return,
            }
        };
        let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse::<usize>().unwrap());
        while read.len() < head + length {
            match socket.read_buf(&mut read).await {
                Ok(1..) => {}
                _ => return,
            }
        }
        let request = read.drain(..head + length).collect::<Vec<_>>();
        let _ended = told.send(String::from_utf8_lossy(&request).into_owned());
        match &does {
            Does::Answers(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
            Does::Closes => return,
            Does::Waits => std::future::pending().await,
        }
    }
}

fn transport_to(port: u16) -> Transport {
    let overrides = format!(r#"{{"{HOST}":"http://127.0.0.1:{port}/base"}}"#);
    let limits = Limits {
        answer: 1024,
        ..Limits::default()
    };
    Transport::new(HostOverrides::parse(&overrides).unwrap(), limits).unwrap()
}

fn call(repeat: Repeat) -> Call {
    let request = Request::post(format!("https://{HOST}/v2/token?code=hush"))
        .header("content-type", "text/plain")
        .body(Bytes::from_static(b"abc"));
    Call::new("test", request.unwrap(), repeat)
}

#[tokio::test]
async fn a_request_arrives_whole_and_its_answer_comes_back() {
    let mut server = Server::answering(OK).await;
    let answer = server.transport.send(call(Repeat::Once), LONG).await;
    assert_eq!(&answer.unwrap().body()[..], b"hi");
    let request = server.requests.recv().await.unwrap();
    assert!(request.starts_with("POST /base/v2/token?code=hush HTTP/1.1\r\n"));
    assert!(request.ends_with("\r\n\r\nabc"), "{request}");
    for header in [
        "user-agent: passerelle/0.1\r\n",
        "content-type: text/plain\r\n",
        "content-length: 3\r\n",
    ] {
        assert!(request.contains(header), "{request}");
    }
    for absent in [
        "cookie:",
        "referer:",
        "accept-encoding:",
        "transfer-encoding:",
    ] {
        assert!(!request.contains(absent), "{request}");
    }
}

#[tokio::test]
async fn once_connects_anew_and_repeatable_reuses() {
    for (repeat, connections) in [(Repeat::Once, 3), (Repeat::Repeatable, 1)] {
        let server = Server::answering(OK).await;
        for _ in 0..3 {
            assert_eq!(server.send(repeat, LONG).await.unwrap(), StatusCode::OK);
        }
        assert_eq!(server.connections(), connections, "{repeat:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_was_surely_not_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for repeat in [Repeat::Once, Repeat::Repeatable] {
        let sent = transport_to(port).send(call(repeat), LONG).await;
        let error = sent.unwrap_err();
        assert_eq!(error.kind(), NoAnswerKind::NotSent);
        assert!(error.surely_unseen());
    }
}

#[tokio::test]
async fn a_failed_handshake_was_surely_not_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(b"no TLS here\r\n").await.unwrap();
        }
    });
    let overrides = format!(r#"{{"{HOST}":"https://127.0.0.1:{port}"}}"#);
    let overrides = HostOverrides::parse(&overrides).unwrap();
    let transport = Transport::new(overrides, Limits::default()).unwrap();
    let error = transport.send(call(Repeat::Once), LONG).await.unwrap_err();
    assert_eq!(error.kind(), NoAnswerKind::NotSent, "{error:?}");
}

#[tokio::test]
async fn a_closed_connection_is_lost_and_not_sent_again() {
    for repeat in [Repeat::Once, Repeat::Repeatable] {
        let mut server = Server::that(Does::Closes).await;
        let error = server.send(repeat, LONG).await.unwrap_err();
        assert_eq!(error.kind(), NoAnswerKind::Lost);
        assert!(server.requests.recv().await.is_some());
        assert_eq!(server.connections(), 1);
        assert!(server.requests.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_time_out_is_lost() {
    let mut server = Server::that(Does::Waits).await;
    let error = server.send(Repeat::Once, Duration::from_millis(50)).await;
    assert_eq!(error.unwrap_err().kind(), NoAnswerKind::Lost);
    assert!(server.requests.recv().await.is_some());
    // Half an answer is none.
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi";
    let server = Server::answering(half).await;
    let error = server.send(Repeat::Once, Duration::from_millis(50)).await;
    assert_eq!(error.unwrap_err().kind(), NoAnswerKind::Lost);
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let away = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let mut server = Server::answering(away).await;
    let status = server.send(Repeat::Once, LONG).await.unwrap();
    assert_eq!(status, StatusCode::FOUND);
    assert!(server.requests.recv().await.is_some());
    assert!(server.requests.try_recv().is_err());
}

#[tokio::test]
async fn answers_are_capped_announced_or_not() {
    let body = "x".repeat(1025);
    for answer in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: 1025\r\n\r\n{body}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n401\r\n{body}\r\n0\r\n\r\n"),
    ] {
        let server = Server::answering(&answer).await;
        let error = server.send(Repeat::Once, LONG).await.unwrap_err();
        assert_eq!(error.kind(), NoAnswerKind::TooLarge, "{answer}");
    }
    let body = "x".repeat(1024);
    let fits = format!("HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n{body}");
    let server = Server::answering(&fits).await;
    assert!(server.send(Repeat::Once, LONG).await.is_ok());
}

#[tokio::test]
async fn errors_show_no_query() {
    let server = Server::that(Does::Closes).await;
    let error = server.send(Repeat::Once, LONG).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "POST https://api.example/v2/token?…: the connection broke before the answer was whole"
    );
    let mut shown = format!("{error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        shown.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    assert!(!shown.contains("hush"), "{shown}");
}

#[tokio::test]
async fn only_https_is_called() {
    let server = Server::answering(OK).await;
    let mut plain = call(Repeat::Once);
    *plain.request.uri_mut() = format!("http://{HOST}/v2").parse().unwrap();
    let error = server.transport.send(plain, LONG).await.unwrap_err();
    assert_eq!(error.kind(), NoAnswerKind::Refused);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn beside_stand_ins_no_other_host_is_called() {
    let server = Server::answering(OK).await;
    let mut elsewhere = call(Repeat::Once);
    *elsewhere.request.uri_mut() = "https://real.example/v2?code=hush".parse().unwrap();
    let error = server.transport.send(elsewhere, LONG).await.unwrap_err();
    assert_eq!(error.kind(), NoAnswerKind::Refused);
    assert_eq!(
        error.to_string(),
        "POST https://real.example/v2?…: no override for real.example"
    );
    let other = "https://other.example/v?token=hush";
    let error = upload(&server, other, 2, pieces(&["ab"])).await;
    assert_eq!(error.unwrap_err().kind(), NoAnswerKind::Refused);
}

/// A server on Node closes an idle connection after 5 seconds; ours must be gone before.
#[test]
fn idle_connections_are_let_go_before_a_server_closes_them() {
    assert!(Limits::default().idle < Duration::from_secs(5));
}

#[tokio::test]
async fn warming_leaves_a_connection_for_the_first_call() {
    let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let server = Server::answering(answer).await;
    server.transport.warm(HOST).await;
    server.send(Repeat::Repeatable, LONG).await.unwrap();
    assert_eq!(server.connections(), 1);
}

fn pieces(pieces: &[&'static str]) -> BytesStream {
    let owned: Vec<Result<Bytes, SourceError>> = pieces
        .iter()
        .map(|piece| Ok(Bytes::from_static(piece.as_bytes())))
        .collect();
    Box::pin(stream::iter(owned))
}

async fn upload(
    server: &Server,
    url: &str,
    length: u64,
    body: BytesStream,
) -> Result<StatusCode, NoAnswer> {
    let request = Request::builder()
        .method(Method::PUT)
        .uri(url)
        .header("content-range", "bytes 0-5/6")
        .header("content-length", "999")
        .body(Bytes::new())
        .unwrap();
    let sent = server
        .transport
        .upload(request, &["*.example"], length, body, LONG)
        .await?;
    Ok(sent.status())
}

#[tokio::test]
async fn uploads_stream_with_their_exact_length() {
    let mut server = Server::answering(OK).await;
    let url = "https://api.example/video?token=hush";
    for _ in 0..2 {
        let sent = upload(&server, url, 6, pieces(&["ab", "c", "def"])).await;
        assert_eq!(sent.unwrap(), StatusCode::OK);
        let request = server.requests.recv().await.unwrap();
        assert!(request.starts_with("PUT /base/video?token=hush HTTP/1.1\r\n"));
        assert!(request.contains("content-length: 6\r\n"), "{request}");
        assert!(request.contains("content-range: bytes 0-5/6\r\n"));
        assert!(!request.contains("transfer-encoding"), "{request}");
        assert!(request.ends_with("\r\n\r\nabcdef"), "{request}");
    }
    assert_eq!(server.connections(), 1);
    let sent = upload(&server, url, 0, pieces(&[])).await;
    assert_eq!(sent.unwrap(), StatusCode::OK);
}

/// The first piece is on the wire before the second exists: nothing is gathered first.
#[tokio::test]
async fn uploads_are_not_gathered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = transport_to(listener.local_addr().unwrap().port());
    let (give, mut take) = mpsc::unbounded_channel::<Bytes>();
    let body = stream::poll_fn(move |context| take.poll_recv(context).map(|next| next.map(Ok)));
    let request = Request::put("https://api.example/v").body(Bytes::new());
    let sending = tokio::spawn(async move {
        let body = Box::pin(body);
        let request = request.unwrap();
        transport
            .upload(request, &["api.example"], 4, body, LONG)
            .await
    });
    give.send(Bytes::from_static(b"ab")).unwrap();
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\nab") {
        socket.read_buf(&mut read).await.unwrap();
    }
    give.send(Bytes::from_static(b"cd")).unwrap();
    while !read.ends_with(b"abcd") {
        socket.read_buf(&mut read).await.unwrap();
    }
    socket.write_all(OK.as_bytes()).await.unwrap();
    assert!(sending.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_source_that_breaks_its_word_sends_no_whole_request() {
    let broken: BytesStream = Box::pin(stream::iter([
        Ok(Bytes::from_static(b"ab")),
        Err(SourceError::from("the bucket is gone")),
    ]));
    for body in [pieces(&["ab"]), pieces(&["abcd", "efgh"]), broken] {
        let mut server = Server::answering(OK).await;
        let sent = upload(&server, "https://api.example/v", 6, body).await;
        assert_eq!(sent.unwrap_err().kind(), NoAnswerKind::Lost);
        assert!(server.requests.try_recv().is_err());
    }
}

#[tokio::test]
async fn returned_urls_elsewhere_are_refused_unsent() {
    let server = Server::answering(OK).await;
    for url in [
        "https://api.example.evil.test/v?token=hush",
        "http://api.example/v",
        "https://10.0.0.1/v",
    ] {
        let error = upload(&server, url, 2, pieces(&["ab"])).await.unwrap_err();
        assert_eq!(error.kind(), NoAnswerKind::Refused, "{url}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn messages_go_over_one_connection_and_a_redirect_is_an_answer() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: https://api.example/x\r\nretry-after: 7\r\n\
                  content-length: 2\r\n\r\nhi";
    let mut server = Server::answering(answer).await;
    let headers = || {
        let id = HeaderName::from_static("webhook-id");
        HeaderMap::from_iter([(id, HeaderValue::from_static("evt_1"))])
    };
    let body = Bytes::from_static(b"{}");
    for _ in 0..2 {
        let url = "https://api.example/hook?key=hush";
        let pushed = server.transport.push(url, headers(), body.clone(), LONG);
        let pushed = pushed.await.unwrap();
        assert_eq!(pushed.status, StatusCode::FOUND);
        assert_eq!(pushed.retry_after.as_deref(), Some("7"));
        let request = server.requests.recv().await.unwrap();
        assert!(request.starts_with("POST /base/hook?key=hush HTTP/1.1\r\n"));
        assert!(request.contains("webhook-id: evt_1\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n{}"), "{request}");
    }
    assert_eq!(server.connections(), 1);
    for url in [
        "http://api.example/hook",
        "https://127.0.0.1/hook",
        "https://api.example:8443/hook",
        "https://other.example/hook",
    ] {
        let pushed = server.transport.push(url, headers(), body.clone(), LONG);
        assert!(pushed.await.is_err(), "{url}");
    }
    assert_eq!(server.connections(), 1);
}
