//! One small client: JSON over HTTP/1.1, no redirects, no cookies, at most so many requests at once, and
//! quiet for as long as the server asks. Numbers stay as they are spelled.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::{Error, Kind, OTHER_FILE, Result};

/// A connection is made or given up within this time.
const CONNECT: Duration = Duration::from_secs(10);
/// An answer larger than this is refused.
const ANSWER_MAX: usize = 64 << 20;
/// We wait as long as a server asks, up to this; beyond it the cycle fails and the next one tries again.
const QUIET_MAX: Duration = Duration::from_secs(60);
/// A read is tried so often.
pub(super) const TRIES: u32 = 3;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub method: &'static str,
    /// The path, or a whole address of the same server.
    pub address: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Json>,
}

impl Call {
    pub fn new(method: &'static str, address: String) -> Call {
        Call { method, address, headers: Vec::new(), body: None }
    }
}

/// An answer, whatever its status. No body: `null`.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    headers: HeaderMap,
    pub body: Json,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// It was not sent: nothing happened.
    NotSent(Error),
    /// The app asks to be left alone for a while: nothing happened.
    Later(Error),
    /// It was sent, and only a look can tell.
    Lost(Error),
    /// It was sent and is over: a look tells at once.
    Failed(Error),
}

impl NoAnswer {
    pub fn error(self) -> Error {
        match self {
            NoAnswer::NotSent(error) | NoAnswer::Later(error) | NoAnswer::Lost(error) | NoAnswer::Failed(error) => error,
        }
    }
}

pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// `http://host:port`
    origin: String,
    /// What stands before every path.
    prefix: String,
    authorization: HeaderValue,
    slots: Semaphore,
    timeout: Duration,
    observed: Vec<String>,
    quiet_until: Mutex<Option<Instant>>,
}

/// What a client needs to know.
pub(super) struct Access {
    pub base: String,
    pub user: String,
    pub password: String,
    pub ca: Option<std::path::PathBuf>,
    pub concurrency: usize,
    pub timeout: Duration,
    pub observed: Vec<String>,
}

impl Http {
    pub fn new(access: Access) -> Result<Http> {
        let unusable =
            |_| Error::new(Kind::Config, "the app's address can't be used").hint("use scheme://user:password@host:port/…");
        let base = url::Url::parse(&access.base).map_err(unusable)?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        let tls = if base.scheme() == "https" { authorities(access.ca.as_deref())? } else { rustls::RootCertStore::empty() };
        let tls = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(Kind::Internal, "TLS can't be set up").source(error))?
            .with_root_certificates(tls)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        let credentials = base64(format!("{}:{}", access.user, access.password).as_bytes());
        let mut authorization = HeaderValue::from_str(&format!("Basic {credentials}"))
            .map_err(|error| Error::new(Kind::Internal, "the credentials can't be sent").source(error))?;
        authorization.set_sensitive(true);
        Ok(Http {
            client,
            origin: base.origin().ascii_serialization(),
            prefix: base.path().trim_end_matches('/').to_owned(),
            authorization,
            slots: Semaphore::new(access.concurrency.max(1)),
            timeout: access.timeout,
            observed: access.observed,
            quiet_until: Mutex::new(None),
        })
    }

    /// Scheme, host, port and what stands before every path.
    pub fn base(&self) -> String {
        format!("{}{}", self.origin, self.prefix)
    }

    /// How long an answer is waited for.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits as long as the app has asked to be left alone.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] if that is longer than we wait.
    pub async fn ready(&self) -> Result<()> {
        self.keep_quiet(QUIET_MAX).await.map_err(NoAnswer::error)
    }

    /// Asks once, after the app has been left alone for as long as it asked.
    pub async fn send(&self, call: &Call) -> std::result::Result<Answer, NoAnswer> {
        self.send_within(call, QUIET_MAX).await
    }

    /// As [`Http::send`], or not at all.
    pub async fn send_now(&self, call: &Call) -> std::result::Result<Answer, NoAnswer> {
        self.send_within(call, Duration::ZERO).await
    }

    async fn send_within(&self, call: &Call, patience: Duration) -> std::result::Result<Answer, NoAnswer> {
        let not_sent = |what: &str| NoAnswer::NotSent(Error::new(Kind::Unreachable, what));
        let _slot = self.slots.acquire().await.map_err(|_| not_sent("the client is closed"))?;
        self.keep_quiet(patience).await?;
        let request = self.request(call).map_err(NoAnswer::NotSent)?;
        let answer = match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(NoAnswer::Lost(Error::new(Kind::Unreachable, "the app did not answer in time"))),
        };
        self.note_wait(|name| answer.header(name).map(str::to_owned));
        Ok(answer)
    }

    /// Asks for something that changes nothing, again if that may help.
    ///
    /// # Errors
    /// [`Kind::Unreachable`]; any status is an answer, but those that only say "later".
    pub async fn read(&self, call: &Call) -> Result<Answer> {
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.send(call).await {
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    Error::new(Kind::Unreachable, format!("the app can't answer now: HTTP {}", answer.status))
                }
                Ok(answer) => return Ok(answer),
                Err(none) => none.error(),
            };
            if tries == TRIES {
                return Err(error);
            }
        }
    }

    fn request(&self, call: &Call) -> Result<hyper::Request<Full<Bytes>>> {
        let unusable = |error| Error::new(Kind::Internal, "a request can't be built").source(error);
        let body = call.body.as_ref().map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let mut request = hyper::Request::builder()
            .method(call.method)
            .uri(self.address(&call.address))
            .header(AUTHORIZATION, self.authorization.clone())
            .header("accept", "application/json")
            .header("user-agent", concat!("twinrow/", env!("CARGO_PKG_VERSION")));
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body)).map_err(unusable)
    }

    /// Only ever this server: a link in an answer may name another one, and we carry a password.
    fn address(&self, address: &str) -> String {
        match url::Url::parse(address) {
            Ok(whole) => match whole.query() {
                Some(query) => format!("{}{}?{query}", self.origin, whole.path()),
                None => format!("{}{}", self.origin, whole.path()),
            },
            Err(_) => format!("{}{}{address}", self.origin, self.prefix),
        }
    }

    async fn exchange(&self, request: hyper::Request<Full<Bytes>>) -> std::result::Result<Answer, NoAnswer> {
        let answer = self.client.request(request).await.map_err(|error| {
            let connecting = error.is_connect();
            let what = match (certificate_problem(&error), connecting) {
                (Some(problem), _) => format!("the app can't be reached safely: {problem}"),
                (None, true) => "the app can't be reached".to_owned(),
                (None, false) => "the app's answer was lost".to_owned(),
            };
            let error = Error::new(Kind::Unreachable, what).source(error);
            if connecting { NoAnswer::NotSent(error) } else { NoAnswer::Lost(error) }
        })?;
        let (head, body) = answer.into_parts();
        let lost = |what: &str| NoAnswer::Lost(Error::new(Kind::Unreachable, what));
        let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|_| lost("the app's answer was cut off"))?.to_bytes();
        let status = head.status.as_u16();
        let body = match serde_json::from_slice(&body) {
            _ if body.is_empty() => Json::Null,
            Ok(body) => body,
            // A proxy's or a login page (E31): its words are not the app's.
            Err(_) if status < 400 => return Err(lost("the answer is not JSON: something stands between us and the app")),
            Err(_) => Json::Null,
        };
        Ok(Answer { status, headers: head.headers, body })
    }

    async fn keep_quiet(&self, patience: Duration) -> std::result::Result<(), NoAnswer> {
        let until = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = until else { return Ok(()) };
        let wait = until.saturating_duration_since(Instant::now());
        if wait > patience {
            let message = format!("the app asks for {} s without requests", wait.as_secs());
            return Err(NoAnswer::Later(Error::new(Kind::Unreachable, message)));
        }
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    /// What an answer, or a part of one, asks for.
    pub fn note_wait(&self, header: impl Fn(&str) -> Option<String>) {
        let date = header(DATE.as_str());
        let seconds = self.observed.iter().filter_map(|name| wait_of(&header(name)?, date.as_deref())).max();
        if let Some(seconds) = seconds {
            let until = Instant::now() + Duration::from_secs(seconds);
            let mut quiet = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
            *quiet = (*quiet).max(Some(until));
        }
    }
}

/// Seconds, or a date by the server's own clock (E21).
fn wait_of(text: &str, now: Option<&str>) -> Option<u64> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let now = jiff::fmt::rfc2822::parse(now?).ok()?.timestamp();
    u64::try_from(at.as_second() - now.as_second()).ok()
}

/// What is wrong with the server's certificate, if that is what is wrong. It quotes no value.
fn certificate_problem(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(problem @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return Some(problem.to_string());
        }
        // What an I/O error wraps is not its source.
        at = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn authorities(ca: Option<&std::path::Path>) -> Result<rustls::RootCertStore> {
    let mut store = rustls::RootCertStore::empty();
    match ca {
        Some(file) => {
            let unusable = |why: String| {
                Error::new(Kind::Config, format!("tls.ca {} can't be used: {why}", file.display())).hint(OTHER_FILE)
            };
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))? {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                store.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(
            Error::new(Kind::Config, "there are no certificate authorities to trust").hint("name a file of them as tls.ca")
        );
    }
    Ok(store)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().chain(&[0, 0]).take(3).fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        for digit in 0..4 {
            let at = (word >> (18 - 6 * digit)) & 63;
            out.push(if digit <= three.len() { char::from(DIGITS[at as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_rfc_4648s() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("admin:s3cr3t", "YWRtaW46czNjcjN0")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn e8_waits_are_seconds_or_a_date_of_the_server() {
        assert_eq!(wait_of("7", None), Some(7));
        let (at, now) = ("Sun, 22 Nov 2026 05:05:42 GMT", "Sun, 22 Nov 2026 05:05:12 GMT");
        assert_eq!(wait_of(at, Some(now)), Some(30));
        assert_eq!(wait_of("soon", Some(now)), None);
    }
}
