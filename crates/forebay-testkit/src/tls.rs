//! A root certificate made for one test, and a certificate for `localhost` below it.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use forebay_http::tls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use crate::wire::Wire;

/// A root nobody else trusts, and what it has signed.
#[derive(Clone)]
pub struct TestRoot {
    root: String,
    chain: String,
    key: String,
}

impl TestRoot {
    /// Makes the root and a certificate for `localhost`.
    ///
    /// # Panics
    /// When no certificate can be made.
    pub fn new() -> TestRoot {
        make().expect("certificates cannot be made")
    }

    /// What `openssl req -x509` makes by default: a certificate for `localhost` that nobody else has signed, and that could
    /// sign others.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn signing_itself() -> TestRoot {
        make_one().expect("no certificate can be made")
    }

    /// The root's certificate, PEM.
    pub fn root_pem(&self) -> &[u8] {
        self.root.as_bytes()
    }

    /// The certificate for `localhost`, PEM.
    pub fn chain_pem(&self) -> &[u8] {
        self.chain.as_bytes()
    }

    /// Its private key, PEM.
    pub fn key_pem(&self) -> &[u8] {
        self.key.as_bytes()
    }

    pub(crate) fn connect(&self, socket: TcpStream) -> io::Result<Wire> {
        let config = tls::client_config(Some(self.root_pem())).map_err(io::Error::other)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = socket.try_clone()?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Wire::over(Box::new(StreamOwned::new(connection, stream)), socket)
    }

    pub(crate) fn accept(&self, socket: TcpStream) -> io::Result<Wire> {
        let config = tls::server_config(self.chain_pem(), self.key_pem()).map_err(io::Error::other)?;
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        let stream = StreamOwned::new(connection, socket.try_clone()?);
        Wire::over(Box::new(stream), socket)
    }
}

impl Default for TestRoot {
    fn default() -> TestRoot {
        TestRoot::new()
    }
}

fn make() -> Result<TestRoot, rcgen::Error> {
    let root_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&root_key)?.pem();
    let issuer = Issuer::new(params, root_key);
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
    Ok(TestRoot { root, chain: leaf.pem(), key: key.serialize_pem() })
}

fn make_one() -> Result<TestRoot, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key)?.pem();
    Ok(TestRoot { chain: root.clone(), root, key: key.serialize_pem() })
}
