"""Names an installed package of a copied dpkg status file, or gives that package a new version in the copy."""

import re
import sys

path = sys.argv[1]
with open(path, encoding="utf-8", errors="surrogateescape") as file:
    stanzas = file.read().split("\n\n")


def name(stanza):
    match = re.search(r"^Package: (\S+)$", stanza, re.M)
    return match.group(1) if match else ""


def installed(stanza):
    return re.search(r"^Status: \S+ ok installed$", stanza, re.M)


if sys.argv[2:3] == ["--patch"]:
    wanted = sys.argv[3]
    patched = [re.sub(r"^(Version: .*)$", r"\1+demo1", s, flags=re.M) if name(s) == wanted else s for s in stanzas]
    if patched == stanzas:
        sys.exit(f"{path} holds no {wanted}")
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n\n".join(patched))
else:
    have = [name(s) for s in stanzas if installed(s)]
    print(next((known for known in ("openssl", "tzdata", "base-files") if known in have), have[0]))
