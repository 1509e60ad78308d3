//! A name server that says which servers zones have, as the public DNS does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{NS, SOA};
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use tokio::net::UdpSocket;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn zone(origin: &str, servers: &[&str]) -> (Name, Arc<dyn ZoneHandler>) {
    let origin = name(origin);
    let soa = SOA::new(name("ns."), name("admin."), 1, 60, 60, 60, 60);
    let mut records = vec![RData::SOA(soa)];
    records.extend(servers.iter().map(|server| RData::NS(NS(name(server)))));
    let handler = InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
    let mut handler: InMemoryZoneHandler = handler;
    for data in records {
        assert!(handler.upsert_mut(Record::from_rdata(origin.clone(), 60, data), 1));
    }
    (origin, Arc::new(handler))
}

/// Starts a server that knows these zones, each with its name servers, and no other name.
pub(crate) fn name_server(zones: &BTreeMap<&str, &[&str]>) -> SocketAddr {
    let mut catalog = Catalog::new();
    let all = zones
        .iter()
        .map(|(origin, servers)| zone(&format!("{origin}."), servers));
    for (origin, handler) in all.chain([zone(".", &["ns."])]) {
        catalog.upsert(origin.into(), vec![handler]);
    }
    let (teller, told) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            teller.send(socket.local_addr().unwrap()).unwrap();
            let mut server = Server::new(catalog);
            server.register_socket(socket);
            server.block_until_done().await.unwrap();
        });
    });
    told.recv().unwrap()
}
