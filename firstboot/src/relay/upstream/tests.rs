//! With a real server over loopback.

mod failures;
mod site;
mod through;

use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST};

use super::super::test_ends::Serving;
use site::{Site, get, post};

const BOTH: [Serving; 2] = [Serving::HTTP1, Serving::HTTP2];

#[tokio::test(flavor = "local")]
async fn request_and_answer_are_passed_on_as_they_are() {
    for serving in BOTH {
        let site = Site::new(serving).await;
        let mut request = post("/api/v1/nodes?fieldManager=kubelet", "a node");
        request.headers_mut().insert(AUTHORIZATION, "Bearer x".parse().unwrap());
        request.headers_mut().insert(CONNECTION, "x-hop".parse().unwrap());
        request.headers_mut().insert("x-hop", "1".parse().unwrap());
        request.headers_mut().insert(HOST, "127.0.0.1:6444".parse().unwrap());
        let response = site.upstream.send(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["x-served"], "yes");
        assert!(!response.headers().contains_key(CONNECTION));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "a node");
        let heard = site.heard();
        assert_eq!(heard[0].target, "POST /api/v1/nodes?fieldManager=kubelet");
        assert_eq!(heard[0].host, site.server.address.to_string());
        assert_eq!(heard[0].authorization.as_deref(), Some("Bearer x"));
        assert!(!heard[0].has_hop_header);
        assert_eq!(heard[0].shown_by.as_ref(), Some(&site.certificate(0)));
    }
}

#[tokio::test(flavor = "local")]
async fn the_head_of_an_answer_does_not_wait_for_its_body_nor_one_piece_for_the_next() {
    for serving in BOTH {
        let site = Site::new(serving).await;
        let response = site.upstream.send(get("/open")).await.unwrap();
        let sender = site.take_open();
        let mut body = response.into_body();
        for piece in ["added", "modified"] {
            sender.send(piece).await.unwrap();
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), piece);
        }
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "");
    }
}

#[tokio::test(flavor = "local")]
async fn what_is_dropped_is_cancelled_at_the_server() {
    for serving in BOTH {
        let site = Site::new(serving).await;
        let response = site.upstream.send(get("/open")).await.unwrap();
        let sender = site.take_open();
        drop(response);
        // HTTP/1.1 finds out by the connection's end.
        sender.unwanted().await;
        let mut never = Box::pin(site.upstream.send(get("/never")));
        tokio::select! {
            _ = &mut never => panic!("answered"),
            () = site.arrival() => {}
        }
        drop(never);
        site.cancelled().await;
    }
}

#[tokio::test(flavor = "local")]
async fn trailers_pass() {
    let site = Site::new(Serving::HTTP2).await;
    let response = site.upstream.send(get("/trailers")).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-trailer"], "last");
}

#[tokio::test(flavor = "local")]
async fn requests_at_the_same_time_share_one_connection() {
    let site = Site::new(Serving::HTTP2).await;
    let all = (0..20).map(|_| site.upstream.send(get("/echo")));
    for response in at_once(all).await {
        assert!(response.is_ok());
    }
    assert_eq!(site.server.connections.get(), 1);
    assert_eq!(site.upstream.endpoint(), Some(site.server.endpoint()));
}

/// All at the same time.
async fn at_once<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut all {
            if let Some(running) = future
                && let Poll::Ready(ready) = running.as_mut().poll(context)
            {
                *output = Some(ready);
                *future = None;
            }
        }
        match all.iter().all(|(future, _)| future.is_none()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    all.into_iter().map(|(_, output)| output.unwrap()).collect()
}

#[tokio::test(flavor = "local")]
async fn more_watches_than_a_connection_holds_get_another_one() {
    let limited = Serving {
        max_streams: 2,
        ..Serving::HTTP2
    };
    for (serving, connections) in [(limited, 3), (Serving::HTTP1, 5)] {
        let site = Site::new(serving).await;
        let mut open = Vec::new();
        for _ in 0..5 {
            open.push(site.upstream.send(get("/open")).await.unwrap());
        }
        assert_eq!(site.server.connections.get(), connections);
        drop(open);
        for _ in 0..5 {
            site.take_open().unwanted().await;
        }
    }
}

#[tokio::test(flavor = "local")]
async fn a_connection_is_used_again_when_its_answer_has_ended() {
    for serving in BOTH {
        let site = Site::new(serving).await;
        for _ in 0..3 {
            let response = site.upstream.send(get("/echo")).await.unwrap();
            response.into_body().collect().await.unwrap();
            // The task that drives the connection has to see the end, too.
            tokio::task::yield_now().await;
        }
        assert_eq!(site.server.connections.get(), 1);
    }
}

#[tokio::test(flavor = "local")]
async fn a_new_certificate_means_a_new_connection_and_old_watches_go_on() {
    let site = Site::new(Serving::HTTP2).await;
    let old = site.upstream.send(get("/open")).await.unwrap();
    let sender = site.take_open();
    site.rotate();
    site.upstream.send(get("/echo")).await.unwrap();
    assert_eq!(site.server.connections.get(), 2);
    let shown: Vec<_> = site.heard().into_iter().map(|heard| heard.shown_by.unwrap()).collect();
    assert_eq!(shown, [site.certificate(0), site.certificate(1)]);
    sender.send("event").await.unwrap();
    let frame = old.into_body().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "event");
}

#[tokio::test(flavor = "local")]
async fn an_answer_that_nobody_reads_is_not_gathered() {
    for serving in BOTH {
        let site = Site::new(serving).await;
        let response = site.upstream.send(get("/open")).await.unwrap();
        let sender = site.take_open();
        let mut sent = 0;
        let patience = Duration::from_millis(300);
        let piece = Bytes::from(vec![0; 64 << 10]);
        while tokio::time::timeout(patience, sender.send(piece.clone())).await.is_ok() {
            sent += piece.len();
            assert!(sent < 32 << 20, "{serving:?}");
        }
        // What the kernel buffers is not ours; that it goes on afterwards is what counts.
        let read = async {
            let mut body = response.into_body();
            let mut read = 0;
            while read < sent {
                read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
            }
        };
        let more = async { sender.send(piece.clone()).await.unwrap() };
        tokio::join!(read, more);
    }
}
