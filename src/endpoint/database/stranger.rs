//! Whether a server of another kind answers than the URL says: so that the error can say what is wrong. Asked only after a
//! connection has failed.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::{Error, Kind};

/// A server answers within this time, or it is not asked further.
const ANSWER: Duration = Duration::from_secs(2);

/// What PostgreSQL's clients begin with: may the rest be under TLS? The answer is one letter.
const TLS_PLEASE: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Whether PostgreSQL answers there.
pub(super) async fn is_postgres(host: &str, port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(&TLS_PLEASE).await?;
        let mut answer = [0; 8];
        let length = stream.read(&mut answer).await?;
        Ok::<bool, std::io::Error>(matches!(answer[..length], [b'S' | b'N']))
    };
    matches!(timeout(ANSWER, ask).await, Ok(Ok(true)))
}

/// Whether MySQL or MariaDB answers there. It speaks first: a length, the number 0, and the version of its protocol or an error.
pub(super) async fn is_mysql(host: &str, port: u16) -> bool {
    let listen = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        let mut head = [0; 5];
        stream.read_exact(&mut head).await?;
        Ok::<bool, std::io::Error>(matches!(head, [_, _, _, 0, 10 | 255]))
    };
    matches!(timeout(ANSWER, listen).await, Ok(Ok(true)))
}

/// The URL of an endpoint is for a server of another kind.
pub(super) fn another_kind(place: &str, found: &str, scheme: &str) -> Error {
    Error::new(Kind::Config, format!("at {place} answers {found}, which this URL is not for"))
        .hint(format!("begin the URL of this endpoint with {scheme}://, or correct its host and port, then: twinrow check"))
}
