//! A loopback TCP proxy that records what goes through it, so that bytes on the wire are counted and not estimated.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A running proxy. Its threads end with the connections they serve, its listener with the test program.
pub struct Wire {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    /// One that passes every connection on to `target`, `host:port`.
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let wire = Self { address: listener.local_addr().unwrap(), sent: Arc::default(), received: Arc::default() };
        let (target, sent, received) = (target.to_owned(), Arc::clone(&wire.sent), Arc::clone(&wire.received));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                pass(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&sent));
                pass(server, client, Arc::clone(&received));
            }
        });
        wire
    }

    /// Its address, to be used in place of the target's.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What clients sent since this was last asked.
    pub fn take_sent(&self) -> Vec<u8> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }

    /// What was answered since this was last asked.
    pub fn take_received(&self) -> Vec<u8> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, record: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            // Recorded before it is passed on, so that whoever saw the answer finds the question here.
            record.lock().unwrap().extend_from_slice(&buffer[..count]);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
