"""docs/operations/deploy.md, executed: its blocks, in its order, on five network namespaces.

Each namespace is a host with its own /etc, /usr/local, /var/lib and /tmp. Blocks are marked in the page:
  ```sh on=HOST[,HOST]         commands, in one shell for each host: builder, host1 to host3, client, monitor
  ```LANGUAGE on=HOST file=F   a file, in the host's working directory
  ```text output               what the commands of the block before end with
Usage: page_test.py BUILD_DIR SOURCE_DIR DIRECTORY
"""
import os
import select
import shutil
import subprocess
import sys
import time

BUILD, SOURCE, DIRECTORY = (os.path.abspath(argument) for argument in sys.argv[1:4])
PAGE = os.path.join(SOURCE, "docs/operations/deploy.md")
STAND_INS = os.path.join(SOURCE, "tests/deploy/stand_ins")
HOSTS = {"host1": 1, "host2": 2, "host3": 3, "client": 4, "monitor": 5}
BLOCK_SECONDS = 60
# Of this machine's /etc; the client also needs what names its compiler.
ETC = ("default", "group", "gshadow", "hosts", "ld.so.cache", "localtime", "login.defs", "nsswitch.conf", "passwd",
       "shadow")
PREFIX = "vrv%d" % (os.getpid() % 100000)

# Makes a host of the namespace that it is started in, and then reads commands; the first that fails ends it.
HOST_SHELL = """
set -eu
for place in etc var/lib usr/local; do mount --bind "$1/$place" "/$place"; done
mount --bind "$2" /mnt
hostname "$3"
cd "$1/work"
mount --bind "$1/tmp" /tmp
export PATH=/mnt:/usr/local/bin:/usr/local/sbin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/tmp
unset VARVE_SERVER TMPDIR TEST_TMPDIR
exec bash -eu
"""


def run(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True, timeout=30)


class Block:
    def __init__(self, line, info, text):
        words = info.split()
        marks = dict(word.split("=", 1) for word in words if "=" in word)
        self.line, self.text = line, text
        self.hosts = marks["on"].split(",") if "on" in marks else []
        self.file = marks.get("file")
        self.is_output = words[:1] == ["text"] and "output" in words
        unknown = [host for host in self.hosts if host != "builder" and host not in HOSTS]
        assert not unknown, "line %d: no host is called %s" % (line, unknown)
        assert set(marks) <= {"on", "file"}, "line %d: %s" % (line, info)


def read_page():
    with open(PAGE) as page:
        lines = page.read().split("\n")
    blocks, begin = [], None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if begin is None:
            begin = number
        else:
            blocks.append(Block(begin + 1, lines[begin][3:], "\n".join(lines[begin + 1:number]) + "\n"))
            begin = None
    assert begin is None, "the block of line %d does not end" % (begin + 1)
    marked = [block for block in blocks if block.hosts or block.is_output]
    assert {host for block in marked for host in block.hosts} == {"builder", *HOSTS}, "a host has nothing to do"
    return marked


class Shell:
    """A shell that lives as long as its host; one block at a time."""

    def __init__(self, name, command, environment=None, directory=None):
        self.name, self.blocks = name, 0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=environment, cwd=directory)

    def execute(self, text):
        """What the block printed; None when it failed, after it was shown."""
        self.blocks += 1
        mark = "-- the end of block %d\n" % self.blocks
        self.process.stdin.write(("{\n%s} </dev/null\necho '%s'\n" % (text, mark.rstrip())).encode())
        self.process.stdin.flush()
        output = b""
        deadline = time.monotonic() + BLOCK_SECONDS
        while not output.endswith(mark.encode()):
            ready, _, _ = select.select([self.process.stdout], [], [], max(deadline - time.monotonic(), 0))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                print(output.decode(errors="replace"))
                print("%s: %s" % (self.name, "a command failed" if ready else "no end after %d s" % BLOCK_SECONDS))
                return None
            output += chunk
        return output[:-len(mark)].decode(errors="replace")

    def close(self):
        self.process.kill()
        self.process.wait()


# --- The hosts


class Network:
    """Five namespaces, 10.77.0.1 to 5, around a sixth with the bridge."""

    def __init__(self):
        self.names = []

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def build(self):
        switch = self.add("switch")
        run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", switch, "link", "set", "bridge", "up")
        for host, number in HOSTS.items():
            namespace = self.add(host)
            run("ip", "-n", switch, "link", "add", "port%d" % number, "type", "veth", "peer", "name", "eth0",
                "netns", namespace)
            run("ip", "-n", switch, "link", "set", "port%d" % number, "up",
                "master", "bridge")  # check-allow(vocabulary): ip calls it so
            run("ip", "-n", namespace, "address", "add", "10.77.0.%d/24" % number, "dev", "eth0")
            for link in ("lo", "eth0"):
                run("ip", "-n", namespace, "link", "set", link, "up")

    def add(self, name):
        run("ip", "netns", "add", PREFIX + name)
        self.names.append(PREFIX + name)
        return PREFIX + name

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def make_host(host, number):
    """The host's directories and its shell, whose end takes all of its processes along."""
    root = os.path.join(DIRECTORY, str(number))
    for place in ("var/lib", "usr/local", "tmp", "work"):
        os.makedirs(os.path.join(root, place))
    os.chmod(os.path.join(root, "tmp"), 0o1777)
    os.makedirs(os.path.join(root, "etc"))
    wanted = [name for name in ETC if os.path.exists("/etc/" + name)] + (["alternatives"] if host == "client" else [])
    run("cp", "-a", *["/etc/" + name for name in wanted], os.path.join(root, "etc"))
    if host == "monitor":  # as the package prometheus leaves it
        run("install", "-d", "-o", "prometheus", "-g", "prometheus", os.path.join(root, "var/lib/prometheus"))
        os.makedirs(os.path.join(root, "etc/prometheus"), exist_ok=True)
    return Shell(host, ["ip", "netns", "exec", PREFIX + host, "unshare", "--mount", "--uts", "--pid", "--fork",
                        "--kill-child", "--mount-proc", "bash", "-c", HOST_SHELL, "host", root, STAND_INS, host])


def make_builder():
    """Whoever built the tree that this test belongs to."""
    work = os.path.join(DIRECTORY, "builder")
    os.makedirs(os.path.join(work, "build"))
    os.symlink(BUILD, os.path.join(work, "build/release"))
    return Shell("builder", ["bash", "-eu"], directory=work, environment=dict(
        os.environ, PATH=STAND_INS + ":" + os.environ["PATH"], HOSTS_DIRECTORY=DIRECTORY))


def why_not():
    programs = ("ip", "unshare", "setpriv", "prlimit", "hostname", "cmake", "c++", "prometheus", "promtool",
                "systemd-sysusers", "systemd-tmpfiles")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        return "needs " + ", ".join(missing)
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    tried = subprocess.run(["ip", "netns", "add", PREFIX + "try"], text=True, capture_output=True, check=False)
    subprocess.run(["ip", "netns", "delete", PREFIX + "try"], capture_output=True, check=False)
    return "network namespaces are not permitted here: " + tried.stderr.strip() if tried.returncode else None


# --- The page


def show_logs():
    for number in range(1, 6):
        for name in ("varved", "prometheus"):
            path = os.path.join(DIRECTORY, str(number), "tmp", name + ".log")
            if os.path.exists(path):
                with open(path) as log:
                    print("--- %s of host %d\n%s" % (name, number, "".join(log.readlines()[-15:])))


def hurry_prometheus():
    """A scrape each second instead of every 15 s is all that the test changes of what the page does."""
    path = os.path.join(DIRECTORY, "5/etc/prometheus/prometheus.yml")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("scrape_interval: 15s", "scrape_interval: 1s"))


def execute(blocks, shells):
    done, last = 0, ""
    for block in blocks:
        begin = time.monotonic()
        if block.is_output:
            assert last.endswith(block.text), "line %d: the page says\n%sand it was\n%s" % (
                block.line, block.text, last)
            done += 1
            continue
        for host in block.hosts:
            if block.file:
                with open(os.path.join(DIRECTORY, str(HOSTS[host]), "work", block.file), "w") as file:
                    file.write(block.text)
                continue
            if "restart prometheus" in block.text:
                hurry_prometheus()
            last = shells[host].execute(block.text)
            if last is None:
                show_logs()
                sys.exit("FAIL: deploy_page: line %d of docs/operations/deploy.md, on %s" % (block.line, host))
        done += 1
        print("line %3d on %-18s %5.1f s" % (block.line, ",".join(block.hosts), time.monotonic() - begin), flush=True)
    return done


def check_hosts():
    """The processes are what the unit says: the user's, without rights, with many files."""
    for number in (1, 2, 3):
        root = os.path.join(DIRECTORY, str(number))
        with open(os.path.join(root, "etc/passwd")) as file:
            user = next(line.split(":") for line in file if line.startswith("varve:"))
        state = os.stat(os.path.join(root, "var/lib/varve"))
        assert (state.st_uid, state.st_mode & 0o777) == (int(user[2]), 0o700), (user, state)
        assert user[6].strip().endswith("nologin"), user
        with open(os.path.join(root, "tmp/varved.log")) as log:
            assert "ready" in log.read()


def main():
    blocks = read_page()
    reason = why_not()
    if reason:
        print("SKIP: deploy_page: %s; only the marks of the page were read (%d blocks)" % (reason, len(blocks)))
        return 77
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    os.makedirs(DIRECTORY)
    shells = {}
    with Network():
        try:
            shells["builder"] = make_builder()
            for host, number in HOSTS.items():
                shells[host] = make_host(host, number)
            done = execute(blocks, shells)
            check_hosts()
        finally:
            for shell in shells.values():
                shell.close()
    print("%d blocks of the page" % done)
    print("1 passed, 0 failed, 0 skipped")
    return 0


sys.exit(main())
