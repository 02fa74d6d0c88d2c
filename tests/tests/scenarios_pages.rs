//! The collector's pages in a real browser: nothing a host says runs, every page fits its window, every text can be
//! read, and the keyboard is enough.
//!
//! Pictures of every page are left in `target/pages/` for people to look at.

use std::path::PathBuf;

use plumbline_tests::browser::Browser;
use plumbline_tests::collector::Collector;
use plumbline_tests::processes::eventually;
use plumbline_tests::puppet::Puppet;

const TAB: char = '\u{e004}';

/// Texts that would do something if a page let them.
const HOSTILE: &str =
    "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">\u{202e}'\"&";

/// Signs in with the first account's token, by typing and clicking as a person would.
fn signed_in(collector: &Collector) -> Browser {
    let browser = Browser::open();
    browser.go(&format!("{}/drift?verdict=any", collector.url()));
    assert!(browser.address().contains("/sign-in?next="), "{}", browser.address());
    browser.type_into("#token", collector.admin());
    browser.click("main button");
    browser.arrives(|address| address == format!("{}/drift?verdict=any", collector.url()));
    browser
}

/// A collector that has seen a hostile host drift without a record, and another that waits for inspection.
fn seeded() -> (Collector, Vec<String>) {
    let collector = Collector::start();
    let mut host = Puppet::active(&collector, &format!("web-1{HOSTILE}"));
    let hostile = format!("{HOSTILE}:{}", "long-".repeat(40));
    host.report_packages(&[("openssl", "3.5.1-1"), (&hostile, "1")]);
    host.report_packages(&[("openssl", "3.5.4-1"), (&hostile, &hostile)]);
    Puppet::enrol(&collector, "web-2");
    let drifts = eventually("two drifts", || Some(collector.drifts()).filter(|drifts| drifts.len() == 2));
    let drift = drifts[0]["id"].to_string();
    let pages =
        ["/", "/drift", "/drift?verdict=any", &format!("/drift/{}", drift.trim_matches('"')), "/hosts", "/changes"]
            .map(str::to_owned);
    let mut pages = pages.to_vec();
    pages.push(format!("/hosts/{}", host.host));
    pages.push("/hosts/none".into());
    (collector, pages)
}

#[test]
fn in_a_real_browser_nothing_runs_every_page_fits_and_every_text_can_be_read() {
    let (collector, pages) = seeded();
    let browser = signed_in(&collector);
    let folder = pictures();
    for (number, page) in pages.iter().enumerate() {
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "dark"), (360, "light")] {
            browser.look(width, scheme);
            browser.go(&format!("{}{page}", collector.url()));
            let name = page.replace(['/', '?', '=', '&'], "-");
            std::fs::write(folder.join(format!("{number}{name}-{width}-{scheme}.png")), browser.picture()).unwrap();
            let at = format!("{page} at {width}, {scheme}");
            let title = browser.ask("return document.title");
            assert!(title.as_str().unwrap().ends_with("· Plumbline"), "{at}: {title}");
            assert_eq!(
                browser.ask("return document.scripts.length + document.images.length"),
                1,
                "{at}: only the mark"
            );
            // Against the window asked for: on a phone innerWidth grows with what does not fit.
            let wide = browser.ask("return document.documentElement.scrollWidth");
            assert!(wide.as_i64().unwrap() <= i64::from(width), "{at}: {wide} pixels wide");
            let faint = browser.ask(&format!("{CONTRAST} return faint()"));
            assert_eq!(faint.as_array().map(Vec::len), Some(0), "{at}: too little contrast: {faint:#}");
        }
    }
    let complaints: Vec<String> =
        browser.complaints().into_iter().filter(|line| !line.contains("404 (Not Found)")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_overview_says_at_once_what_nobody_approved_and_the_keyboard_is_enough() {
    let (collector, _) = seeded();
    let browser = signed_in(&collector);
    browser.look(1280, "light");
    browser.go(collector.url());
    assert_eq!(browser.ask("return document.querySelector('h1').innerText"), "2 changes nobody approved");
    let seen = "let row = document.querySelector('tbody tr').getBoundingClientRect(); return row.top < innerHeight";
    assert_eq!(browser.ask(seen), true, "the first of them is in sight without scrolling");
    let unknown = "return [...document.querySelectorAll('.figures dt')].find(e => e.innerText === 'Not determined') \
                   .nextElementSibling.innerText";
    let unknown = browser.ask(unknown);
    assert!(!unknown.as_str().unwrap().starts_with('0'), "probes that gave no answer are no pass: {unknown}");
    browser.press(TAB);
    let focused = "let e = document.activeElement; return [e.innerText, getComputedStyle(e).outlineStyle]";
    assert_eq!(browser.ask(focused), serde_json::json!(["Skip to the content", "solid"]));
    for _ in 0..40 {
        browser.press(TAB);
        let hidden = "let e = document.activeElement; return e !== document.body && \
                      getComputedStyle(e).outlineStyle === 'none'";
        assert_eq!(browser.ask(hidden), false, "{}", browser.ask("return document.activeElement.outerHTML"));
    }
    browser.click(".who button");
    browser.arrives(|address| address.ends_with("/sign-in"));
    browser.go(collector.url());
    assert!(browser.address().contains("/sign-in"), "signed out is out: {}", browser.address());
}

/// Beside this test's own program: the build folder.
fn pictures() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(3).unwrap().join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Every text that stands out from its ground by less than WCAG's AA asks: 4.5 to 1, or 3 to 1 for large text
/// (WCAG 2.2, 1.4.3; luminance as defined there).
const CONTRAST: &str = r"
const numbers = colour => colour.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const ground = element => {
  for (let e = element; e; e = e.parentElement) {
    const colour = numbers(getComputedStyle(e).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const faint = () => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let looked = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(numbers(style.color)), light(ground(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    looked += 1;
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) found.push(`${element.className}: ${walker.currentNode.data}`);
  }
  return looked ? found : ['no text was looked at'];
};";
