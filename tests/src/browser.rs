//! A real browser: Chromium, driven by chromedriver over the WebDriver protocol (W3C WebDriver, and Chromium's own
//! commands for its window and its media features).

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;
use crate::processes::{Running, eventually};

/// The key under which WebDriver names an element; section 12.2 of the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser with one window and cookies of its own.
pub struct Browser {
    _driver: Running,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Opens it. Debian's `chromium` and `chromium-driver` are needed; a missing one fails the test by its name.
    #[track_caller]
    pub fn open() -> Self {
        for needed in ["/usr/bin/chromium", "/usr/bin/chromedriver"] {
            assert!(Path::new(needed).exists(), "{needed} is missing: apt-get install chromium chromium-driver");
        }
        let profile = TempDir::with_prefix("plumbline-browser-").unwrap();
        let driver = Running::start("chromedriver", Command::new("/usr/bin/chromedriver").arg("--port=0"));
        let line = driver.wait_for("started successfully on port");
        let port: String = line.chars().filter(char::is_ascii_digit).collect();
        let base = format!("http://127.0.0.1:{port}/session");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let opened = command("POST", &base, &wanted);
        let id = opened["sessionId"].as_str().unwrap_or_else(|| panic!("no session in {opened}"));
        Self { session: format!("{base}/{id}"), _driver: driver, _profile: profile }
    }

    /// Goes to an address and waits until it is loaded.
    #[track_caller]
    pub fn go(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// Where it is.
    #[track_caller]
    pub fn address(&self) -> String {
        let at = command("GET", &format!("{}/url", self.session), &Value::Null);
        at.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until its address is one that `arrived` accepts: a click answers before the next page has come.
    #[track_caller]
    pub fn arrives(&self, arrived: impl Fn(&str) -> bool) {
        eventually("the next page", || Some(self.address()).filter(|address| arrived(address)));
    }

    /// Types into the first element this CSS selector finds.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("element/{element}/value"), &json!({"text": text}));
    }

    /// Clicks the first element this CSS selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    /// Presses a key wherever the focus is. `\u{e004}` is Tab; section 17.4.2 lists the others.
    #[track_caller]
    pub fn press(&self, key: char) {
        let keys = [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}));
    }

    /// What a script of the test's own says about the page; the page's policy does not bind it.
    #[track_caller]
    pub fn ask(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// The window's width in CSS pixels and the colours asked for: `light` or `dark`.
    #[track_caller]
    pub fn look(&self, width: u32, scheme: &str) {
        let metrics = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600});
        self.chromium("Emulation.setDeviceMetricsOverride", metrics);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.chromium("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// The page from top to bottom, as PNG.
    #[track_caller]
    pub fn picture(&self) -> Vec<u8> {
        let size = self.ask("return [innerWidth, Math.min(document.documentElement.scrollHeight, 6000)]");
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let shot = json!({"captureBeyondViewport": true, "clip": clip});
        let shot = self.chromium("Page.captureScreenshot", shot);
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser complained of since it was last asked: scripts refused, files not loaded.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.post("se/log", &json!({"type": "browser"}));
        lines.as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let found = self.post("element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("no element {selector}: {found}")).to_owned()
    }

    #[track_caller]
    fn chromium(&self, name: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    #[track_caller]
    fn post(&self, what: &str, body: &Value) -> Value {
        command("POST", &format!("{}/{what}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium and its helpers; the driver itself is ended with its process.
        let _ = http::RUNTIME.block_on(http::send("DELETE", &self.session, &[], Vec::new()));
    }
}

#[track_caller]
fn command(method: &str, url: &str, body: &Value) -> Value {
    let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
    let answer = http::request(method, url, &[("content-type", "application/json")], bytes);
    assert_eq!(answer.status, 200, "{url}: {}", answer.text());
    answer.json()["value"].clone()
}
