//! The pages across a real socket: who gets in, what every answer carries, and what stands on a page.

use reqwest::header::{ACCEPT, COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;

use super::text::nasty;
use crate::app::now;
use crate::http::testing::Running;
use crate::store::accounts::Role;
use crate::store::sessions;

/// Every page that asks for a session.
const PAGES: [&str; 7] = ["/", "/drift", "/drift/D-1", "/hosts", "/hosts/x", "/changes", "/changes/CHG-2027-0001"];

/// A browser: keeps cookies, follows nothing.
struct Browser {
    base: String,
    http: reqwest::Client,
    cookies: std::collections::BTreeMap<String, String>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |to| to.to_str().unwrap())
    }

    /// The value of the first hidden field of that name.
    fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest = self.body.split_once(&start).unwrap_or_else(|| panic!("no field {name} in {}", self.body)).1;
        rest.split_once('"').unwrap().0.to_owned()
    }
}

impl Browser {
    fn new(running: &Running) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { base: running.base.clone(), http, cookies: Default::default() }
    }

    /// A browser in which `name` has signed in by a one-time link.
    async fn signed_in(running: &Running, name: &str) -> Self {
        running.account(name, &[Role::Viewer]).await;
        let mut browser = Self::new(running);
        let entered = browser.enter(&link(running, name).await).await;
        assert_eq!((entered.status, entered.location()), (303, "/"));
        browser
    }

    async fn enter(&mut self, link: &str) -> Answer {
        let page = self.get(&format!("/enter/{link}")).await;
        self.post(&format!("/enter/{link}"), &format!("csrf={}", page.field("csrf"))).await
    }

    async fn get(&mut self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.base));
        self.send(request).await
    }

    async fn post(&mut self, path: &str, form: &str) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base));
        self.send(request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned())).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header(COOKIE, cookies.join("; ")).header(ACCEPT, "text/html,*/*;q=0.8");
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for line in headers.get_all(SET_COOKIE) {
            let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
        }
        Answer { status, headers, body: response.text().await.unwrap() }
    }
}

async fn link(running: &Running, name: &str) -> String {
    let mut db = running.app.store.write().await.unwrap();
    let link = sessions::add_link(&mut db, name, now()).await.unwrap();
    db.commit().await.unwrap();
    link.reveal().to_owned()
}

fn assert_headers(answer: &Answer, path: &str) {
    let header = |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self'"), "{path}: {policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
    assert!(!header("cache-control").is_empty(), "{path}");
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_signing_in_and_says_nothing() {
    let running = Running::start().await;
    let mut browser = Browser::new(&running);
    for path in PAGES {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{path}");
        assert!(answer.location().starts_with("/sign-in"), "{path}: {}", answer.location());
        assert_headers(&answer, path);
        let plain = running.http.get(format!("{}{path}", running.base)).send().await.unwrap();
        assert_eq!(plain.status().as_u16(), 401, "{path}, not asked for as a page");
    }
    assert_eq!(browser.get("/drift?host=a").await.location(), "/sign-in?next=%2Fdrift%3Fhost%3Da");
    browser.cookies.insert("plumbline".into(), "pls_nobody".into());
    assert_eq!(browser.get("/").await.status, 303);
    assert_eq!(browser.post("/sign-out", "csrf=x").await.status, 303);
}

#[tokio::test]
async fn every_answer_carries_the_headers_and_no_page_may_be_kept() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running, "ava").await;
    for path in PAGES.into_iter().chain(["/sign-in", "/enter/pll_x", "/assets/none.css"]) {
        let answer = browser.get(path).await;
        assert_headers(&answer, path);
        assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store", "{path}");
    }
    let page = browser.get("/").await;
    for part in ["rel=\"stylesheet\" href=\"", "rel=\"icon\" href=\""] {
        let asset = page.body.split_once(part).unwrap().1.split_once('"').unwrap().0;
        let answer = browser.get(asset).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert_headers(&answer, asset);
    }
}

#[tokio::test]
async fn a_link_is_used_by_its_button_once_and_not_by_looking_at_it() {
    let running = Running::start().await;
    running.account("ava", &[Role::Viewer]).await;
    let link = link(&running, "ava").await;
    let mut browser = Browser::new(&running);
    for _ in 0..3 {
        assert_eq!(browser.get(&format!("/enter/{link}")).await.status, 200);
    }
    let entered = browser.enter(&link).await;
    assert_eq!(entered.status, 303);
    let cookie = entered.headers.get(SET_COOKIE).unwrap().to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"), "{cookie}");
    assert_eq!(browser.get("/").await.status, 200);
    let again = Browser::new(&running).enter(&link).await;
    assert_eq!(again.status, 403);
    assert!(again.body.contains("already used"), "{}", again.body);
}

#[tokio::test]
async fn a_personal_token_signs_in_and_brings_back_to_where_one_was_going() {
    let running = Running::start().await;
    let mut browser = Browser::new(&running);
    let form = browser.get("/sign-in?next=%2Fhosts").await;
    let csrf = form.field("csrf");
    assert_eq!(form.field("next"), "/hosts");
    let wrong = browser.post("/sign-in", &format!("csrf={csrf}&token=plp_wrong&next=%2Fhosts")).await;
    assert_eq!(wrong.status, 403);
    assert!(wrong.body.contains("nobody&#39;s"), "{}", wrong.body);
    let right = browser.post("/sign-in", &format!("csrf={csrf}&token={}&next=%2Fhosts", running.admin)).await;
    assert_eq!((right.status, right.location()), (303, "/hosts"));
    assert!(browser.get("/hosts").await.body.contains("Signed in as <strong>admin</strong>"));
    let away = browser.post("/sign-in", &format!("csrf={csrf}&token={}&next=//evil", running.admin)).await;
    assert_eq!(away.location(), "/");
}

#[tokio::test]
async fn no_form_counts_without_the_token_made_for_it() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running, "ava").await;
    for form in ["", "csrf=", "csrf=wrong", "other=1"] {
        assert_eq!(browser.post("/sign-out", form).await.status, 403, "{form:?}");
    }
    let mut other = Browser::signed_in(&running, "rhea").await;
    let foreign = other.get("/").await.field("csrf");
    assert_eq!(browser.post("/sign-out", &format!("csrf={foreign}")).await.status, 403);
    assert_eq!(browser.get("/").await.status, 200, "still signed in");

    let mut stranger = Browser::new(&running);
    let link = link(&running, "ava").await;
    for form in ["", "csrf=", "csrf=00000000000000000000000000000000"] {
        assert_eq!(stranger.post(&format!("/enter/{link}"), form).await.status, 403, "{form:?}");
        let form = format!("{form}&token={}", running.admin);
        assert_eq!(stranger.post("/sign-in", &form).await.status, 403, "{form:?}");
    }
    assert_eq!(stranger.enter(&link).await.status, 303, "and the link was not used up");
}

#[tokio::test]
async fn signing_out_ends_the_session_not_only_the_cookie() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running, "ava").await;
    let kept = browser.cookies.clone();
    let csrf = browser.get("/").await.field("csrf");
    let out = browser.post("/sign-out", &format!("csrf={csrf}")).await;
    assert_eq!((out.status, out.location()), (303, "/sign-in"));
    browser.cookies = kept;
    assert_eq!(browser.get("/").await.status, 303);
}

#[tokio::test]
async fn what_does_not_exist_is_a_page_that_says_so() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running, "ava").await;
    for path in
        ["/hosts/none", "/hosts/%ff", "/drift/D-0", "/drift/1", "/drift/D-99999999999999999999", "/changes/none"]
    {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("<h1>No such thing</h1>") && answer.body.contains("Signed in as"), "{path}");
    }
    for path in ["/drift?page=x", "/drift?verdict=%22&probe=%3C&host=%00&page=-1", "/hosts?page=99999999999999999999"] {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_address_of_no_route_is_a_page_for_a_browser_and_a_problem_for_a_program() {
    let running = Running::start().await;
    let mut stranger = Browser::new(&running);
    let page = stranger.get("/nothing/<here>").await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("<h1>No such thing</h1>") && !page.body.contains("Signed in as"), "{}", page.body);
    assert!(page.headers.contains_key("content-security-policy"));
    let mut ava = Browser::signed_in(&running, "ava").await;
    assert!(ava.get("/nothing").await.body.contains("Signed in as"));
    let (status, problem) = running.call("GET", "/nothing", &running.admin, None).await;
    assert_eq!((status, problem["type"].as_str()), (404, Some("/problems/not-found")));
}

#[tokio::test]
async fn a_hostile_hosts_texts_are_harmless_on_every_page() {
    let running = Running::start().await;
    let host = running.host(&nasty::all(), 1).await;
    let mut browser = Browser::signed_in(&running, "ava").await;
    for path in ["/".to_owned(), "/hosts".into(), format!("/hosts/{}", host.id)] {
        nasty::assert_harmless(&browser.get(&path).await.body);
    }
    let filter = format!("/drift?verdict=any&host={}", super::session::percent_encoded(&nasty::all()));
    nasty::assert_harmless(&browser.get(&filter).await.body);
}
