"""What the quickstart must have shown; says what it found instead and exits non-zero where it did not."""

import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request


def verdicts(file, package, change):
    found = json.loads(pathlib.Path(file).read_text())
    rows = found["drift"] if isinstance(found, dict) else found
    approved = [r for r in rows if r["probe"] == "packages" and r["subject"].startswith(package + ":")]
    intruder = [r for r in rows if r["probe"] == "admins" and "demo-intruder" in r["subject"]]
    assert approved and all(r["verdict"] == "authorised" and r["change"] == change for r in approved), approved
    assert intruder and all(r["verdict"] == "unauthorised" for r in intruder), intruder
    print(f"   ok: the change of {package} is authorised by {change}")
    print(f"   ok: {intruder[0]['subject']} is unauthorised: {intruder[0]['why']}")


def alert(folder, package):
    messages = sorted(pathlib.Path(folder).glob("*.json"))
    assert len(messages) == 1, f"{len(messages)} messages where one is due"
    text = messages[0].read_text()
    assert "demo-copy" in text and "demo-intruder" in text, text
    assert f"{package}:" not in text, f"the approved change of {package} was alerted too: {text}"
    print("   ok: one alert arrived at the receiver; it says:")
    for line in json.loads(text)["text"].splitlines():
        print(f"      {line}")


def pages(link):
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    page = opener.open(link, timeout=10).read().decode()
    if "demo-copy" not in page:
        # The sign-in link may ask for one click, so that a preview of it does not use it up.
        action = re.search(r'<form[^>]*action="([^"]+)"', page)
        assert action, page[:500]
        fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))
        body = urllib.parse.urlencode(fields).encode()
        page = opener.open(urllib.parse.urljoin(link, action.group(1)), data=body, timeout=10).read().decode()
    assert "demo-copy" in page, page[:2000]
    assert "demo-intruder" in page, page[:2000]
    print("   ok: the page shows demo-copy and what nobody approved")


try:
    globals()[sys.argv[1]](*sys.argv[2:])
except AssertionError as wrong:
    sys.exit(f"   not as expected: {wrong}")
