//! Kinto, and its users: a collection of its own for each test, a server of its own where one is needed.

use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One collection on a server, as its users see it.
#[derive(Clone)]
pub struct Kinto {
    /// `127.0.0.1:8888`
    pub host: String,
    /// The collection of this test.
    pub collection: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// `admin:s3cr3t`
const CREDENTIALS: &str = "Basic YWRtaW46czNjcjN0";

/// A new collection on the shared server.
pub async fn shared() -> Result<Kinto, String> {
    let url = std::env::var("TWINROW_TEST_KINTO").map_err(|_| "TWINROW_TEST_KINTO is not set".to_owned())?;
    let url = url::Url::parse(&url).map_err(|error| error.to_string())?;
    Kinto::on(format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(80)), json!({})).await
}

impl Kinto {
    /// A new collection with this metadata on a server.
    pub async fn on(host: String, metadata: Json) -> Result<Kinto, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let collection = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let kinto = Kinto { host, collection, client: Client::builder(TokioExecutor::new()).build_http() };
        kinto.make(metadata).await;
        Ok(kinto)
    }

    /// Makes the bucket and the collection, as someone would who finds them gone.
    pub async fn make(&self, metadata: Json) {
        self.call("PUT", "/buckets/crm", None).await;
        let path = format!("/buckets/crm/collections/{}", self.collection);
        let (status, _) = self.call("PUT", &path, Some(json!({ "data": metadata }))).await;
        assert!(status < 300, "the collection can't be made: HTTP {status}");
    }

    /// What an endpoint is opened with.
    pub fn url(&self) -> String {
        self.url_by(&self.host)
    }

    /// As [`Kinto::url`], through another address.
    pub fn url_by(&self, host: &str) -> String {
        format!("kinto+http://admin:s3cr3t@{host}/crm")
    }

    /// The manifest that declares this collection.
    pub fn manifest(&self) -> String {
        format!(
            "objects:\n  {}:\n    fields: {{name: text, email: text, age: integer, amount: decimal, exact: decimal_text}}\n",
            self.collection
        )
    }

    /// Any request.
    pub async fn call(&self, method: &str, path: &str, body: Option<Json>) -> (u16, Json) {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://{}/v1{path}", self.host))
            .header("authorization", CREDENTIALS)
            .header("content-type", "application/json")
            .body(Full::new(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()))))
            .unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Json::Null))
    }

    fn path(&self, id: &str) -> String {
        format!("/buckets/crm/collections/{}/records/{id}", self.collection)
    }

    /// A user makes a record.
    pub async fn create(&self, id: &str, fields: Json) {
        let (status, _) = self.call("PUT", &self.path(id), Some(json!({ "data": fields }))).await;
        assert!(status < 300, "{id}: HTTP {status}");
    }

    /// A user changes some fields.
    pub async fn change(&self, id: &str, fields: Json) {
        let (status, _) = self.call("PATCH", &self.path(id), Some(json!({ "data": fields }))).await;
        assert!(status < 300, "{id}: HTTP {status}");
    }

    /// A user deletes a record.
    pub async fn delete(&self, id: &str) {
        let (status, _) = self.call("DELETE", &self.path(id), None).await;
        assert!(status < 300, "{id}: HTTP {status}");
    }

    /// All records, by name.
    pub async fn records(&self) -> Vec<Json> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or("", |record: &Json| record["id"].as_str().unwrap());
            let path = format!("{}?_sort=id&gt_id=%22{after}%22", self.path("").trim_end_matches('/'));
            let (status, body) = self.call("GET", &path, None).await;
            assert_eq!(status, 200);
            let page = body["data"].as_array().unwrap().clone();
            if page.is_empty() {
                all.sort_by_key(|record| record["name"].as_str().unwrap_or_default().to_owned());
                return all;
            }
            all.extend(page);
        }
    }

    /// One field of all records, in the order of their names.
    pub async fn field(&self, name: &str) -> Vec<Json> {
        self.records().await.into_iter().map(|record| record[name].clone()).collect()
    }

    /// The id of the record of this name.
    pub async fn id(&self, name: &str) -> String {
        let records = self.records().await;
        let record = records.iter().find(|record| record["name"] == name).unwrap_or_else(|| panic!("no record {name}"));
        record["id"].as_str().unwrap().to_owned()
    }
}

/// A server of a test's own. It keeps everything in memory: started again, it is empty.
pub struct Server {
    dir: tempfile::TempDir,
    port: u16,
    process: Option<String>,
    settings: Vec<String>,
}

impl Server {
    /// Starts one.
    pub fn start() -> Result<Server, String> {
        Server::with(&[])
    }

    /// Starts one with settings, as `KINTO_…=value`.
    pub fn with(settings: &[&str]) -> Result<Server, String> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.map_err(|error| error.to_string())?.port();
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Server { dir, port, process: None, settings };
        server.run()?;
        Ok(server)
    }

    fn run(&mut self) -> Result<(), String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kinto/start.sh");
        let output = Command::new(script).arg(self.dir.path()).arg(self.port.to_string()).args(&self.settings).output();
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        self.process = Some(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            let _ = Command::new("kill").args(["-9", &process]).status();
            // Gone when its port is free.
            while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Kills it and starts it again: an app that was emptied.
    pub fn restart(&mut self) {
        self.stop();
        self.run().unwrap();
    }

    /// Makes trouble, see `tests/kinto/trouble.py`.
    pub fn trouble(&self, file: &str, text: &str) {
        std::fs::write(self.dir.path().join(file), text).unwrap();
    }

    /// What it was asked since it is watched: when each request came and was answered, in seconds, the status, and how long
    /// it asked to be left alone.
    pub fn watched(&self) -> Vec<[f64; 4]> {
        let text = std::fs::read_to_string(self.dir.path().join("watch")).unwrap();
        let line = |line: &str| {
            let numbers: Vec<f64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            numbers.try_into().unwrap()
        };
        text.lines().map(line).collect()
    }

    /// Where it is.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a [`Proxy`] does to the next request that creates records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It arrives and is done; the answer is swallowed and the connection cut.
    AnswerLost = 1,
    /// It never arrives; the connection is cut.
    RequestLost = 2,
}

/// What a user does, and before which request.
type Meanwhile = Arc<Mutex<Option<(&'static str, Pin<Box<dyn Future<Output = ()> + Send>>)>>>;

/// What becomes of an answer on its way.
#[derive(Clone)]
pub enum Spoilt {
    /// Its end does not arrive.
    Cut,
    /// Another one takes its place: status and body, made from the request.
    Instead(fn(&str) -> (u16, String)),
}

type Spoils = Arc<Mutex<Option<(&'static str, Spoilt)>>>;

/// A network between us and the app.
pub struct Proxy {
    /// Its address.
    pub host: String,
    trouble: Arc<AtomicU8>,
    meanwhile: Meanwhile,
    spoils: Spoils,
}

impl Proxy {
    /// To a server.
    pub async fn to(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let trouble = Arc::new(AtomicU8::new(0));
        let (meanwhile, spoils) = (Meanwhile::default(), Spoils::default());
        let (flag, acts, target) = (Arc::clone(&trouble), Arc::clone(&meanwhile), target.to_owned());
        let spoilt = Arc::clone(&spoils);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), Arc::clone(&flag), Arc::clone(&acts), Arc::clone(&spoilt)));
            }
        });
        Proxy { host, trouble, meanwhile, spoils }
    }

    /// What a user does before the next request that has this text arrives, once.
    pub fn before(&self, text: &'static str, act: impl Future<Output = ()> + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some((text, Box::pin(act)));
    }

    /// Whether the user has done it.
    pub fn acted(&self) -> bool {
        self.meanwhile.lock().unwrap().is_none()
    }

    /// Spoils the answer to every request that has this text, until told otherwise.
    pub fn spoil(&self, what: Option<(&'static str, Spoilt)>) {
        *self.spoils.lock().unwrap() = what;
    }

    /// Arms it, once.
    pub fn arm(&self, trouble: Trouble) {
        self.trouble.store(trouble as u8, Ordering::SeqCst);
    }

    /// Whether it has struck.
    pub fn struck(&self) -> bool {
        self.trouble.load(Ordering::SeqCst) == 0
    }
}

async fn carry(mut client: TcpStream, target: String, trouble: Arc<AtomicU8>, meanwhile: Meanwhile, spoils: Spoils) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut sent, mut up, mut down) = (Vec::new(), vec![0; 65_536], vec![0; 65_536]);
    let (mut swallow, mut cut) = (false, false);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                sent.extend_from_slice(&up[..n]);
                let request = String::from_utf8_lossy(&sent).into_owned();
                let due = meanwhile.lock().unwrap().take_if(|(text, _)| request.contains(*text));
                if let Some((_, act)) = due {
                    act.await;
                }
                let creates = request.contains("\"method\":\"PUT\"");
                let armed = if creates { trouble.swap(0, Ordering::SeqCst) } else { 0 };
                if armed == Trouble::RequestLost as u8 {
                    return;
                }
                swallow |= armed == Trouble::AnswerLost as u8;
                let spoilt = spoils.lock().unwrap().clone().filter(|(text, _)| request.contains(text));
                match spoilt.map(|(_, spoilt)| spoilt) {
                    Some(Spoilt::Instead(answer)) if is_whole(&request) => {
                        let (status, body) = answer(&request);
                        let head = format!("HTTP/1.1 {status} As it is\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                        let body = if request.starts_with("HEAD") { "" } else { &body };
                        let _ = client.write_all(format!("{head}{body}").as_bytes()).await;
                        return;
                    }
                    // The rest of it is on its way.
                    Some(Spoilt::Instead(_)) => continue,
                    Some(Spoilt::Cut) => cut = true,
                    None => {}
                }
                if server.write_all(&up[..n]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                if swallow {
                    return;
                }
                if cut {
                    let _ = client.write_all(&down[..n - n.min(10)]).await;
                    return;
                }
                sent.clear();
                if client.write_all(&down[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Whether all of a request's body is there.
fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
