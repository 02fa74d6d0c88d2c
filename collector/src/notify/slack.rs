//! An alert as Slack's incoming webhook takes it: Block Kit, within its limits, everything that came from elsewhere escaped.
//!
//! Limits: 50 blocks a message, 3000 characters a section, 150 a header. Source: Slack's Block Kit reference.
//! Escaping `&`, `<` and `>` is what keeps `<!channel>` and links out. Source: "Formatting text for app surfaces".

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Alert, Part};

/// Parts told one by one; the rest are counted.
pub const MOST_PARTS: usize = 20;
/// The longest header.
const HEADER: usize = 150;
/// The longest value, name or sentence told, before escaping (which at most makes it five times as long).
const LONGEST: usize = 180;

/// The body to post.
pub fn render(alert: &Alert) -> String {
    let told = alert.parts.get(..MOST_PARTS).unwrap_or(&alert.parts);
    let more = alert.parts.len() - told.len() + alert.more;
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": cut(&plain(&alert.title), HEADER), "emoji": false},
    })];
    blocks.extend(told.iter().map(|part| section(&marked(part))));
    if more > 0 {
        blocks.push(section(&format!("…and {more} more")));
    }
    blocks.push(section(&format!("<{}|Look at it>", alert.link)));
    let mut lines = vec![escaped(&alert.title)];
    lines.extend(told.iter().map(line));
    if more > 0 {
        lines.push(format!("…and {more} more"));
    }
    lines.push(escaped(&alert.link));
    json!({"text": lines.join("\n"), "blocks": blocks}).to_string()
}

/// `verbatim` keeps Slack from finding links and names in the text by itself.
fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}})
}

fn marked(part: &Part) -> String {
    let mut text = format!("*{}*", escaped(&part.what));
    if let Some((before, after)) = &part.change {
        text.push_str(&format!("\n{} → {}", value(before), value(after)));
    }
    if let Some([from, to]) = part.between {
        text.push_str(&format!("\nbetween {} and {}", instant(from), instant(to)));
    }
    text.push_str(&format!("\n_{}_", escaped(&part.why)));
    text
}

/// One part as a line of the fallback, which notifications show.
fn line(part: &Part) -> String {
    let change = match &part.change {
        Some((before, after)) => format!(": {} → {}", value(before), value(after)),
        None => String::new(),
    };
    format!("• {}{change} ({})", escaped(&part.what), escaped(&part.why))
}

fn value(value: &Option<String>) -> String {
    match value {
        Some(text) => escaped(text),
        None => "(none)".to_owned(),
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn escaped(text: &str) -> String {
    cut(&plain(text), LONGEST).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// On one line, without control or direction characters.
fn plain(text: &str) -> String {
    crate::disguise::safe(&text.replace('\n', " "))
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::at;

    fn part(what: &str) -> Part {
        Part {
            what: what.into(),
            change: Some((None, Some("<!channel> & <@U1>\n\u{202e}".into()))),
            between: Some([at(0), at(1)]),
            why: "no record: no change record covers this host at that time".into(),
        }
    }

    fn alert(parts: usize) -> Alert {
        Alert {
            title: format!("web-1 {}", "<!here>".repeat(60)),
            parts: (0..parts).map(|number| part(&format!("packages/p{number}:{}", "&".repeat(500)))).collect(),
            more: 0,
            link: "https://plumbline.example.org/hosts/aa".into(),
        }
    }

    #[test]
    fn what_came_from_a_host_can_neither_notify_nor_link() {
        let text = render(&alert(1));
        let message: Value = serde_json::from_str(&text).unwrap();
        for block in &message["blocks"].as_array().unwrap()[1..2] {
            let text = block["text"]["text"].as_str().unwrap();
            assert!(text.contains("&lt;!channel&gt; &amp; &lt;@U1&gt;") && !text.contains('<'), "{text}");
        }
        assert!(!message["text"].as_str().unwrap().contains('<'));
        assert_eq!(message["blocks"][0]["text"]["type"], "plain_text");
    }

    #[test]
    fn the_largest_message_is_within_slacks_limits_and_says_how_many_more() {
        let text = render(&alert(1000));
        let message: Value = serde_json::from_str(&text).unwrap();
        let blocks = message["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50 && blocks.len() > 20, "{}", blocks.len());
        for block in blocks {
            let longest = if block["type"] == "header" { 150 } else { 3000 };
            assert!(block["text"]["text"].as_str().unwrap().chars().count() <= longest);
        }
        assert!(text.contains("and 980 more"));
        assert!(message["text"].as_str().unwrap().chars().count() < 40_000);
    }
}
