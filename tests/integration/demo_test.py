"""varve demo: kills lose nothing, Ctrl-C leaves nothing behind, --keep leaves the data."""
import json
import os
import shutil
import signal
import subprocess
import sys

VARVED, VARVE, DIRECTORY = sys.argv[1:4]
KILLS = 20 if os.environ.get("VARVE_SLOW") else 2
ENVIRONMENT = dict(os.environ, TMPDIR=DIRECTORY)


def brokers():
    """Command lines of processes whose data is in our directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as line:
                words = line.read().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended meanwhile
        if any(word.startswith("--data_dir=" + DIRECTORY) for word in words):
            found.append(words)
    return found


def check_nothing_left():
    assert brokers() == [], brokers()
    assert os.listdir(DIRECTORY) == [], os.listdir(DIRECTORY)


def check_kills():
    done = subprocess.run([VARVE, "demo", "--kills", str(KILLS), "--varved", VARVED, "-o", "json"],
                          env=ENVIRONMENT, text=True, capture_output=True, timeout=60 + 20 * KILLS,
                          check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    result = json.loads(done.stdout)
    print(done.stdout, end="")
    assert result["kills"] == KILLS and result["lost"] == 0 and result["failed"] == 0, result
    assert result["acknowledged"] == result["sent"] > 500 * KILLS, result
    assert result["read"] == result["sent"] + result["duplicated"], result
    assert 0 < result["longest_gap_ms"] < 10000, result
    assert done.stderr.count("kill -9 of node") == KILLS, done.stderr
    check_nothing_left()


def check_interrupt():
    """Ctrl-C at a terminal goes to the whole process group: the brokers are in groups of their own."""
    demo = subprocess.Popen([VARVE, "demo", "--varved", VARVED], env=ENVIRONMENT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if "leads" in line:
            break
    assert len(brokers()) == 3, brokers()
    os.killpg(demo.pid, signal.SIGINT)
    rest, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, (demo.returncode, lines, rest, errors)
    assert "READ BACK" in rest, rest
    check_nothing_left()


def check_keep():
    done = subprocess.run([VARVE, "demo", "--seconds", "1", "--keep", "--varved", VARVED],
                          env=ENVIRONMENT, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    kept = done.stdout.strip().splitlines()[-1]
    assert kept.startswith("kept: "), kept
    assert os.path.exists(os.path.join(kept[len("kept: "):], "1", "node3.log")), kept
    assert brokers() == [], brokers()


def main():
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    os.makedirs(DIRECTORY)
    missing = subprocess.run([VARVE, "demo", "--varved", "/nowhere"], env=ENVIRONMENT, text=True,
                             capture_output=True, timeout=60, check=False)
    assert missing.returncode == 1 and "127" in missing.stderr, missing
    check_nothing_left()
    check_kills()
    check_interrupt()
    check_keep()
    shutil.rmtree(DIRECTORY)


main()
