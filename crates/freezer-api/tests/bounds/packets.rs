//! A server whose `max_allowed_packet` is smaller than a document that the service accepts.

use serde_json::json;

use crate::support::documents::{backup, with};
use crate::support::mariadbd::Server;
use crate::support::{Options, TestApp, bounded};

#[test]
fn documents_beyond_the_packet_of_the_server_are_413() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(bounded(async {
        let Some(server) = Server::start_with("packets", &["--max-allowed-packet=65536"]).await else {
            return;
        };
        let app = TestApp::start(&server.database().await, Options::default()).await;
        let member = app.member();
        let large = |bytes: usize| with(backup("large"), json!({"x": "x".repeat(bytes)}));
        for bytes in [66_000, 90_000] {
            let refused = member.post("/v2/p1/backups", large(bytes)).await.expect(413);
            assert!(refused.description().contains("max_allowed_packet"), "{refused}");
        }
        let id = member.post("/v2/p1/backups", large(40_000)).await.expect(201).text("backup_id");
        let path = format!("/v2/p1/backups/{id}");
        member.patch(&path, json!({"y": "y".repeat(30_000)})).await.expect(413);
        let kept = member.get(&path).await.expect(200).json();
        assert!(kept["backup_metadata"]["y"].is_null(), "nothing has changed");
    }));
}
