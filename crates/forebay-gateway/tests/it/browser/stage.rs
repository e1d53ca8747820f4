//! Everything that a call meets: pages of several origins in one browser, a server that says what each case has it say,
//! and, where a case is about a policy, a gateway in front of it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_testkit::{Browser, Connection, Event, Message, Page, TestRoot, Upstream};
use serde_json::Value;

use super::calls::Scripted;
use super::replies::Reply;

/// Calls that a page has under way at a time.
const AT_A_TIME: usize = 6;
/// Makes the calls and tells what the script got of each.
const SCRIPT: &str = r#"
(async (calls, atATime) => {
    const options = ({method, headers, credentials, mode}) => ({method, headers, credentials, mode});
    const byFetch = async call => {
        const response = await fetch(call.url, options(call));
        const body = await response.text();
        return {type: response.type, status: response.status, headers: [...response.headers.keys()], body};
    };
    const byXhr = call => new Promise((done, failed) => {
        const request = new XMLHttpRequest();
        request.open(call.method, call.url);
        request.withCredentials = call.credentials == 'include';
        call.headers.forEach(([name, value]) => request.setRequestHeader(name, value));
        if (call.progress) request.upload.onprogress = () => {};
        const names = () => request.getAllResponseHeaders().split('\r\n').map(line => line.split(':')[0]);
        request.onload = () => done({type: 'xhr', status: request.status, headers: names(), body: request.responseText});
        request.onerror = () => failed('error');
        request.send(call.progress ? new Uint8Array(2) : null);
    });
    const results = [];
    let next = 0;
    const worker = async () => {
        while (next < calls.length) {
            const at = next++;
            const call = calls[at];
            results[at] = await (call.xhr ? byXhr : byFetch)(call).catch(error => ({error: String(error)}));
        }
    };
    await Promise.all(Array.from({length: atATime}, worker));
    return results;
})
"#;

/// A call and what it meets.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Of [`Stage::origins`].
    pub(crate) page: usize,
    pub(crate) scripted: Scripted,
    /// What each URL on its way says: to a preflight, and to the call.
    pub(crate) hops: Vec<(Reply, Reply)>,
}

/// What the browser made of a case.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The failure's name and what it is about; none when the script got a response.
    pub(crate) blocked: Option<(String, String)>,
    /// What the script got: `type`, `status`, `headers`, `body`; or `error`.
    pub(crate) got: Value,
    /// What the browser asked the server, in order.
    pub(crate) requests: Vec<Message>,
    /// What it told the author of the page.
    pub(crate) messages: Vec<String>,
}

/// What the server says, and what it was asked, by case.
#[derive(Default)]
struct Script {
    hops: HashMap<String, Vec<(Reply, Reply)>>,
    asked: HashMap<String, Vec<Message>>,
}

type Shared = Arc<Mutex<Script>>;

/// See above.
pub(crate) struct Stage {
    browser: Browser,
    /// Opened when a call is made from them.
    pages: Vec<Option<Page>>,
    /// Of the pages.
    pub(crate) origins: Vec<String>,
    pub(crate) server: Upstream,
    _secure: Upstream,
    script: Shared,
    /// One browser at a time: two would only wait for each other.
    _turn: MutexGuard<'static, ()>,
}

/// Waits until no other test has a browser.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let turn = turn();
        let script = Shared::default();
        let serve = |script: &Shared| {
            let script = script.clone();
            move |connection: &mut Connection| serve(connection, &script)
        };
        let server = Upstream::start(serve(&script));
        let secure = Upstream::start_tls(TestRoot::new(), serve(&script));
        let (plain, tls) = (server.address(), secure.address());
        let browser = Browser::start(&[
            ("shop.example:80", plain),
            ("shop.example:443", tls),
            ("shop.example:8443", tls),
            ("pr-7.preview.shop.example:443", tls),
        ]);
        let own = format!("http://api.localhost:{}", plain.port());
        let origins = [
            "https://shop.example",
            "https://shop.example",
            "https://pr-7.preview.shop.example",
            "http://shop.example",
            "https://shop.example:8443",
            &own,
            "null",
        ];
        Stage {
            browser,
            pages: vec![None; origins.len()],
            origins: origins.map(str::to_owned).into(),
            server,
            _secure: secure,
            script,
            _turn: turn,
        }
    }

    fn page(&mut self, number: usize) -> Page {
        if let Some(page) = &self.pages[number] {
            return page.clone();
        }
        let url = match &*self.origins[number] {
            "null" => "https://shop.example/sandboxed".to_owned(),
            origin => format!("{origin}/page"),
        };
        self.pages[number].insert(self.browser.open(&url)).clone()
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// What an expression comes to in a page of this origin.
    pub(crate) fn evaluate(&mut self, origin: &str, expression: &str) -> Value {
        let page = self.origins.iter().position(|had| had == origin).expect("a page of that origin");
        let page = self.page(page);
        self.browser.evaluate(&page, expression)
    }

    /// Has the browser make every call.
    pub(crate) fn play(&mut self, cases: &[Case]) -> Vec<Seen> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        for case in cases {
            script.hops.insert(key(&case.scripted.call.url).to_owned(), case.hops.clone());
        }
        drop(script);
        let mut got: Vec<Value> = vec![Value::Null; cases.len()];
        let mut told: HashMap<String, Told> = HashMap::new();
        for page in 0..self.pages.len() {
            let here: Vec<usize> = (0..cases.len()).filter(|&at| cases[at].page == page).collect();
            let calls: Vec<Value> = here.iter().map(|&at| cases[at].scripted.to_json()).collect();
            if here.is_empty() {
                continue;
            }
            let handle = self.page(page);
            let script = format!("{SCRIPT}({}, {AT_A_TIME})", Value::from(calls));
            let results = self.browser.evaluate(&handle, &script);
            here.iter().enumerate().for_each(|(place, &at)| got[at] = results[place].clone());
            let failed = here.iter().filter(|&&at| !got[at]["error"].is_null());
            let failed: Vec<&str> = failed.map(|&at| key(&cases[at].scripted.call.url)).collect();
            for event in self.settled(&handle, &failed) {
                tell(&mut told, &event);
            }
        }
        let mut asked = std::mem::take(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner).asked);
        cases
            .iter()
            .zip(got)
            .map(|(case, got)| {
                let key = key(&case.scripted.call.url);
                let told = told.remove(key).unwrap_or_default();
                let blocked = blocked(&got, &told);
                Seen {
                    blocked,
                    got,
                    requests: asked.remove(key).unwrap_or_default(),
                    messages: told.messages,
                }
            })
            .collect()
    }

    /// All events of a page, once it has been said of each of these cases why its request failed.
    fn settled(&mut self, page: &Page, failed: &[&str]) -> Vec<Event> {
        let mut events = self.browser.take_events(page);
        for case in failed {
            let is_its = |event: &&Event| is_call(event) && key(url(event)) == *case;
            // A call that the browser refuses by itself is no request.
            let Some(id) = events.iter().find(is_its).map(|event| event.about["requestId"].clone()) else {
                continue;
            };
            let ends =
                |event: &Event| event.name == "Network.loadingFailed" && event.about["requestId"] == id;
            if !events.iter().any(ends) {
                self.browser.wait_for(page, ends);
                events.extend(self.browser.take_events(page));
            }
        }
        events
    }
}

fn is_call(event: &Event) -> bool {
    event.name == "Network.requestWillBeSent" && event.about["initiator"]["type"] != "preflight"
}

fn url(event: &Event) -> &str {
    event.about["request"]["url"].as_str().unwrap_or_default()
}

/// What the protocol told of one case.
#[derive(Debug, Default)]
struct Told {
    id: Option<Value>,
    failed: Option<Value>,
    messages: Vec<String>,
}

fn tell(told: &mut HashMap<String, Told>, event: &Event) {
    let about = &event.about;
    match &*event.name {
        // Redirected to where no case is, it keeps the number it has.
        _ if is_call(event) && !key(url(event)).is_empty() => {
            told.entry(key(url(event)).to_owned()).or_default().id.get_or_insert(about["requestId"].clone());
        }
        "Network.loadingFailed" => {
            let of = told.values_mut().find(|told| told.id.as_ref() == Some(&about["requestId"]));
            if let Some(told) = of {
                told.failed = Some(about.clone());
            }
        }
        "Log.entryAdded" => {
            let text = about["entry"]["text"].as_str().unwrap_or_default();
            let place = text.find("/case/").map_or("", |at| key(&text[at..]));
            told.entry(place.to_owned()).or_default().messages.push(text.to_owned());
        }
        _ => {}
    }
}

/// In place of a name, where the page itself gave a redirect up and did not say why.
pub(crate) const CANCELED: &str = "canceled";

/// The browser's own name for the failure.
fn blocked(got: &Value, told: &Told) -> Option<(String, String)> {
    let error = got["error"].as_str()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = |name: &str| Some((name.to_owned(), String::new()));
    let Some(failed) = &told.failed else {
        let said = |text: &str| told.messages.iter().any(|message| message.contains(text));
        return match error {
            error if error.ends_with("HTTP method is unsupported.") => named("ForbiddenMethod"),
            error if error.contains("is unsupported in no-cors mode") => named("NoCorsMethod"),
            _ if said("Request mode is \"same-origin\"") => named("DisallowedByMode"),
            error => named(error),
        };
    };
    let cors = &failed["corsErrorStatus"];
    if !cors.is_null() {
        return Some((text(&cors["corsError"]), text(&cors["failedParameter"])));
    }
    match &*text(&failed["errorText"]) {
        "net::ERR_ABORTED" if failed["canceled"] == true => {
            let by_mode =
                told.messages.iter().any(|message| message.starts_with("Unsafe attempt to load URL"));
            named(if by_mode { "DisallowedByMode" } else { CANCELED })
        }
        "net::ERR_TOO_MANY_REDIRECTS" => named("TooManyRedirects"),
        "net::ERR_INVALID_REDIRECT" | "net::ERR_UNSAFE_REDIRECT" | "net::ERR_UNKNOWN_URL_SCHEME" => {
            named("InvalidRedirect")
        }
        _ => named(&failed.to_string()),
    }
}

/// `/case/7` of a URL or path that has it.
pub(crate) fn key(url: &str) -> &str {
    let Some(at) = url.find("/case/") else { return "" };
    let rest = &url[at..];
    let digits = rest["/case/".len()..].bytes().take_while(u8::is_ascii_digit).count();
    &rest[.."/case/".len() + digits]
}

pub(crate) fn target(request: &Message) -> &str {
    request.start.split(' ').nth(1).unwrap_or_default()
}

fn serve(connection: &mut Connection, script: &Shared) -> io::Result<()> {
    loop {
        let request = connection.request()?;
        let (method, target) = (request.start.split(' ').next().unwrap_or_default(), target(&request));
        let reply = match key(target) {
            "" => page(target),
            key => {
                let hop = target.rsplit("/hop/").next().and_then(|hop| hop.parse().ok()).unwrap_or(0);
                let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
                script.asked.entry(key.to_owned()).or_default().push(request.clone());
                let hops = script.hops.get(key).map(Vec::as_slice).unwrap_or_default();
                let is_preflight = request.field("access-control-request-method").is_some();
                let of = |(preflight, call): &(Reply, Reply)| {
                    if is_preflight { preflight.clone() } else { call.clone() }
                };
                hops.get(hop).or(hops.last()).map_or_else(|| Reply::new(404, &[]), of)
            }
        };
        connection.send(written(&reply, method))?;
    }
}

fn page(target: &str) -> Reply {
    let html = ("Content-Type", "text/html");
    match target {
        "/sandboxed" => Reply::new(200, &[html, ("Content-Security-Policy", "sandbox allow-scripts")]),
        _ => Reply::new(200, &[html]),
    }
}

fn written(reply: &Reply, method: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {} Said\r\n", reply.status);
    reply.fields.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    match reply.status {
        204 | 304 => text += "\r\n",
        _ if method == "HEAD" => text += "Content-Length: 4\r\n\r\n",
        _ => text += "Content-Length: 4\r\n\r\nread",
    }
    text.into_bytes()
}
