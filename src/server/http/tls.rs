//! Connections that are encrypted.

#[cfg(feature = "server-tls")]
pub(crate) use with::Acceptor;
#[cfg(not(feature = "server-tls"))]
pub(crate) use without::Acceptor;

#[cfg(feature = "server-tls")]
mod with {
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use tokio::net::TcpStream;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::server::TlsStream;
    use tokio_rustls::{TlsAcceptor, rustls};

    use crate::server::Error;

    /// Makes connections encrypted ones.
    #[derive(Clone)]
    pub(crate) struct Acceptor(TlsAcceptor);

    impl Acceptor {
        /// With a certificate and its key in PEM files; the certificate may be a chain.
        pub(crate) fn open(certificate: &Path, key: &Path) -> Result<Acceptor, Error> {
            let wrong = |path: &Path, reason: String| Error::Tls {
                path: path.to_owned(),
                reason,
            };
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(certificate, error.to_string()))?;
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .and_then(|config| {
                    config
                        .with_no_client_auth()
                        .with_single_cert(chain, private)
                });
            let mut config = config.map_err(|error| wrong(certificate, error.to_string()))?;
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Ok(Acceptor(TlsAcceptor::from(Arc::new(config))))
        }

        pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
            self.0.accept(stream).await
        }
    }
}

#[cfg(not(feature = "server-tls"))]
mod without {
    use std::convert::Infallible;
    use std::io;

    use tokio::net::TcpStream;

    /// There is none without the feature `server-tls`.
    #[derive(Clone)]
    pub(crate) struct Acceptor(Infallible);

    impl Acceptor {
        pub(crate) async fn accept(&self, _stream: TcpStream) -> io::Result<TcpStream> {
            match self.0 {}
        }
    }
}
