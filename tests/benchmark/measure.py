"""Runs whole commands in turn, A B A B, and prints medians and ratios; see tests/bench."""

import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

target, ansible, exporter = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
here = pathlib.Path(__file__).parent
root = here.parent.parent
plumbline, collector, floor = target / "plumbline", target / "plumbline-collector", target / "floor"
baseline = here / "core.yaml"
whole = root / "baselines/linux-server.yaml"
dates = root / "baselines/end-of-life.yaml"


def run(command):
    """CPU seconds and wall seconds of one whole run, children included, and its exit code."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, process.returncode


def peak(command):
    """Peak MiB of one run. By time(1), which is small: the kernel counts the memory of whoever forked into the peak."""
    with tempfile.NamedTemporaryFile() as told:
        timed = ["/usr/bin/time", "--quiet", "--format", "%M", "--output", told.name, *command]
        subprocess.run(timed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return int(told.read()) / 1024


def pairs(commands, runs):
    """Every command once per round; medians per command."""
    seen = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            figures = run(command)
            if number:  # the first round warms the caches
                seen[name].append(figures)
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in seen.items()}


def row(name, command, figures, base):
    cpu, wall, code = figures
    print(f"| {name} | {cpu * 1000:.1f} | {wall * 1000:.1f} | {peak(command):.1f} | {cpu / base[0]:.2f} | {wall / base[1]:.2f} | {code:.0f} |")


def unit_environment(name):
    """The environment that the service's unit gives it."""
    unit = (root / f"packaging/systemd/plumbline-{name}.service").read_text()
    lines = [line.removeprefix("Environment=") for line in unit.splitlines() if line.startswith("Environment=")]
    return os.environ | dict(pair.split("=", 1) for line in lines for pair in line.split())


def pss(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


print(f"machine: {os.cpu_count()} cores, Linux {os.uname().release}")
print()
print("| one audit of this host | CPU ms | wall ms | peak MiB | CPU ÷ floor | wall ÷ floor | exit |")
print("| --- | --- | --- | --- | --- | --- | --- |")
commands = {
    "floor": [floor, baseline, dates],
    "plumbline check": [plumbline, "check", "--baseline", baseline, "--format", "json"],
    "all of linux-server": [plumbline, "check", "--baseline", whole, "--format", "json"],
}
with tempfile.TemporaryDirectory() as folder:
    # What a whole check looks at, by its own recording: the floor reads the same.
    recording, listed = pathlib.Path(folder) / "recording.json", pathlib.Path(folder) / "listed"
    subprocess.run([plumbline, "record", "--baseline", whole, "--output", recording], check=True)
    looked = json.loads(recording.read_text())
    kinds = {"file": ["files", "parts"], "folder": ["folders"], "link": ["links"], "stat": ["stats", "lstats"]}
    paths = {(kind, path) for kind, names in kinds.items() for name in names for path in looked.get(name, {})}
    listed.write_text("".join(f"{kind} {path}\n" for kind, path in sorted(paths)))
    commands["floor of all"] = [floor, "--listed", listed, whole, dates]
    figures = pairs(commands, 40)
    for name in commands:
        row(name, commands[name], figures[name], figures["floor of all" if "all" in name else "floor"])
if ansible:
    playbook = [ansible, "--check", "--connection", "local", "--inventory", "localhost,", here / "playbook.yaml"]
    peer = pairs({"ansible": playbook}, 3)["ansible"]
    row("ansible-playbook --check", playbook, peer, figures["floor"])
    check = figures["plumbline check"]
    print()
    print(f"plumbline check is {peer[1] / check[1]:.0f} times faster than ansible-playbook --check (wall), {peer[0] / check[0]:.0f} times in CPU")


def others():
    """Other programs that audit a host, each once and each in its own way: what they ask is not what we ask, but for Puppet."""
    print()
    print("| one audit of this host | CPU s | wall s | peak MiB | CPU ÷ all of linux-server | wall ÷ | exit |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    # By its definitions, not by a profile: Debian packages no profile for its release 12, and one for 11 applies to nothing here.
    content = pathlib.Path("/usr/share/xml/scap/ssg/content/ssg-debian11-oval.xml")
    programs = {
        "puppet apply --noop": ["puppet", "apply", "--noop", here / "manifest.pp"],
        "oscap oval eval": ["oscap", "oval", "eval", content],
        "lynis --quick": ["lynis", "audit", "system", "--quick", "--no-colors", "--logfile", "/dev/null", "--report-file", "/dev/null"],
    }
    ours = figures["all of linux-server"]
    for name, command in programs.items():
        if shutil.which(command[0]) is None:
            print(f"| {name} | is not installed | | | | | |")
            continue
        with tempfile.NamedTemporaryFile() as told:
            timed = ["/usr/bin/time", "--quiet", "--format", "%M", "--output", told.name, *command]
            cpu, wall, code = run(timed)
            most = int(told.read()) / 1024
        print(f"| {name} | {cpu:.1f} | {wall:.1f} | {most:.0f} | {cpu / ours[0]:.0f} | {wall / ours[1]:.0f} | {code} |", flush=True)


def hashing():
    """Whole checks that hash, beside a bare program that walks and hashes the same."""
    hashes = target / "hashes"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        tree = folder / "root/tree"
        for number in range(1400):
            # 175 MB in 1,400 files, sizes as uneven as a system's.
            path = tree / f"{number % 40}/{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(1000 * (1 + number * number % 250)))
        rule = "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {id: r, title: t, severity: low, why: w, fix: f, files: "
        (folder / "tree.yaml").write_text(rule + '{paths: ["/tree/**"], tracked: true}}\n')
        (folder / "packages.yaml").write_text(rule + "{changed: []}}\n")
        check = [plumbline, "check", "--format", "json", "--baseline"]
        for title, bare, ours in (
            ("SHA-256 of a tree", [hashes, "walk", tree], [*check, folder / "tree.yaml", "--root", folder / "root"]),
            ("MD5 of every packaged file", [hashes, "dpkg"], [*check, folder / "packages.yaml"]),
        ):
            print()
            print(f"| {title} | CPU ms | wall ms | peak MiB | CPU ÷ floor | wall ÷ floor | exit |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
            both = {"floor": bare, "plumbline check": ours}
            seen = pairs(both, 10)
            for name in both:
                row(name, both[name], seen[name], seen["floor"])


def cycles(folder, state):
    """What a cycle costs in which nothing changed, beside a whole one: a process that starts, reads all and ends."""
    def spent(pid):
        words = open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()
        return (int(words[11]) + int(words[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def reports():
        return len(list((state / "spool/reports").glob("*.json")))

    once = [plumbline, "collect", "--once", "--state", state]
    whole = pairs({"once": once}, 10)["once"][0] * 1000
    (folder / "often.yaml").write_text("interval: 1s\nsplay: 0s\n")
    process = subprocess.Popen([plumbline, "collect", "--state", state, "--config", folder / "often.yaml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started.append(process)
    # The first cycles read all, and watch what they read.
    time.sleep(5)
    before, first = spent(process.pid), reports()
    time.sleep(30)
    same = (spent(process.pid) - before) / max(reports() - first, 1)
    process.send_signal(signal.SIGTERM)
    print(f"\na cycle in which nothing changed: {same:.1f} ms of CPU; a whole one (collect --once, its start included): {whole:.1f} ms; {same / whole:.2f}")


if ansible:
    others()
hashing()
started = []
try:
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "collector.yaml").write_text(f"listen: 127.0.0.1:0\ndata: {folder}/collector\n")
        serve = subprocess.Popen([collector, "serve", "--config", folder / "collector.yaml"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        started.append(serve)
        url = token = ""
        while not (url and token):
            line = serve.stdout.readline()
            if not line:
                sys.exit("the collector did not start")
            for word in line.split():
                url = word if word.startswith("http://") else url
                token = word if word.startswith("plt_") else token
        environment = os.environ | {"PLUMBLINE_COLLECTOR": url, "PLUMBLINE_TOKEN": token}
        answer = subprocess.run([collector, "token", "new", "--environment", "utility", "--format", "json"], env=environment, check=True, capture_output=True)
        state = folder / "state"
        subprocess.run([plumbline, "enroll", "--collector", url, "--token", json.loads(answer.stdout)["token"], "--state", state], check=True, capture_output=True)
        cycles(folder, state)
        rest = {}
        for name in ("collect", "ship"):
            process = subprocess.Popen([plumbline, name, "--state", state], env=unit_environment(name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            started.append(process)
            rest[name] = process
        if exporter:
            rest["node_exporter"] = subprocess.Popen([exporter, "--web.listen-address=127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            started.append(rest["node_exporter"])
        print()
        print("at rest after 60 seconds, PSS in MiB:", end=" ", flush=True)
        time.sleep(60)
        memory = {name: pss(process.pid) for name, process in rest.items() if process.poll() is None}
        print(", ".join(f"{name} {value:.1f}" for name, value in memory.items()) + f"; collect and ship together {memory.get('collect', 0) + memory.get('ship', 0):.1f}")
finally:
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in started:
        process.wait(timeout=20)
print()
print("The weight of an unchanged report on the wire is counted by the scenario `the_first_report_begins_the_chain_and_facts_travel_once` (tests/run scenarios).")
