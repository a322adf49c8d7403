"""Power cuts on a real file system.

    power_cut_test.py POWER_CUT_WRITER DIRECTORY

A writer appends to a data directory on a loop-mounted ext4 image and prints what is acknowledged.
At a random moment it is stopped, and the image, as the device has it, is cloned: what the kernel
still held in memory is lost in the clone, as in a power cut. The clone is mounted and recovered
and must hold every acknowledged entry and nothing but what was written. Now and then the writer is
killed and begins again, so that recoveries of recoveries are cut as well. 10 cuts, 200 with
VARVE_SLOW=1; then a writer with a planted defect, which must be found.
"""

import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

IMAGE_BYTES = 192 << 20
CUTS_PER_IMAGE = 10
CUTS_TO_FIND_DEFECT = 10


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def must(*command):
    done = run(*command)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def missing(directory):
    """What this machine lacks, or None."""
    if os.geteuid() != 0:
        return "needs root: mounts"
    if shutil.which("mkfs.ext4") is None:
        return "needs mkfs.ext4"
    image, mount = directory / "probe", directory / "probe_mount"
    mount.mkdir()
    make_image(image, 4 << 20)
    probe = run("mount", "-o", "loop", str(image), str(mount))
    if probe.returncode != 0:
        return f"needs loop mounts: {probe.stderr.strip()}"
    must("umount", str(mount))
    return None


def make_image(path, size):
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    must("mkfs.ext4", "-q", "-F", str(path))


class Writer:
    def __init__(self, program, mode, data):
        self.process = subprocess.Popen([program, mode, str(data)], stdout=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = b""

    def take(self, acknowledged):
        """Reads what was printed so far."""
        while True:
            try:
                block = os.read(self.process.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                return
            if not block:
                return
            *lines, self.rest = (self.rest + block).split(b"\n")
            for line in lines:
                group, index = map(int, line.split())
                acknowledged[group] = max(acknowledged.get(group, 0), index)

    def stop(self):
        """Returns when no thread of it is within a system call any more."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        while self.process.poll() is None:
            states = [(t / "stat").read_text().rsplit(")", 1)[1].split()[0] for t in tasks.iterdir()]
            if set(states) == {"T"}:
                return
            time.sleep(0.001)
        raise RuntimeError(f"the writer ended with {self.process.returncode}")

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def clone(image, copy):
    """The kernel may write back meanwhile: two equal copies are the image at one moment."""
    again = copy.with_suffix(".again")
    while True:
        for target in (copy, again):
            must("cp", "--sparse=always", str(image), str(target))
        if filecmp.cmp(copy, again, shallow=False):
            again.unlink()
            return


def judge(program, copy, mount, acknowledged):
    """What is wrong with the clone; empty when nothing is."""
    must("mount", "-o", "loop", str(copy), str(mount))
    try:
        checked = run(program, "check", str(mount / "data"))
    finally:
        must("umount", str(mount))
    if checked.returncode != 0:
        return f"recovery: {checked.stderr.strip()}"
    found = dict(map(int, line.split()) for line in checked.stdout.splitlines())
    for group, index in acknowledged.items():
        if found.get(group, 0) < index:
            return f"group {group} ends at {found.get(group)}, acknowledged was {index}"
    return ""


def cuts(program, mode, count, directory, draw):
    """Yields for each cut what is wrong, and how much was acknowledged before it."""
    image, mount, copy_mount = directory / "image", directory / "mount", directory / "copy_mount"
    mount.mkdir(exist_ok=True)
    copy_mount.mkdir(exist_ok=True)
    for begin in range(0, count, CUTS_PER_IMAGE):
        make_image(image, IMAGE_BYTES)
        must("mount", "-o", "loop", str(image), str(mount))
        acknowledged = {}
        writer = Writer(program, mode, mount / "data")
        try:
            for _ in range(begin, min(begin + CUTS_PER_IMAGE, count)):
                time.sleep(draw.uniform(0.02, 0.4))
                if draw.random() < 0.3:
                    writer.take(acknowledged)
                    writer.kill()
                    writer = Writer(program, mode, mount / "data")
                    time.sleep(draw.uniform(0, 0.2))
                writer.stop()
                writer.take(acknowledged)
                clone(image, directory / "copy")
                writer.go_on()
                wrong = judge(program, directory / "copy", copy_mount, acknowledged)
                yield wrong, sum(acknowledged.values())
        finally:
            writer.kill()
            must("umount", str(mount))


def main():
    program, directory = sys.argv[1], Path(sys.argv[2]).resolve()
    if os.geteuid() == 0 and "VARVE_IN_NAMESPACE" not in os.environ and run("unshare", "--mount", "true").returncode == 0:
        # In a mount namespace of its own, so that nothing is left mounted.
        os.environ["VARVE_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    lacks = missing(directory)
    if lacks:
        print(f"SKIP: {lacks}")
        sys.exit(77)
    seed = int(os.environ.get("VARVE_SEED", "1"))
    draw = random.Random(seed)
    count = 200 if os.environ.get("VARVE_SLOW") else 10
    passed = failed = 0
    most = 0
    for wrong, entries in cuts(program, "write", count, directory, draw):
        most = max(most, entries)
        if wrong:
            failed += 1
            print(f"FAIL: cut {passed + failed}: {wrong} (VARVE_SEED={seed})")
        else:
            passed += 1
    print(f"{passed} of {count} cuts lost nothing; up to {most} entries acknowledged before one")
    if most == 0:
        failed += 1
        print("FAIL: acknowledgements: there were none")
    found = any(wrong for wrong, _ in cuts(program, "write-unsynced", CUTS_TO_FIND_DEFECT, directory, draw))
    if found:
        passed += 1
    else:
        failed += 1
        print(f"FAIL: planted defect: {CUTS_TO_FIND_DEFECT} cuts do not show acknowledgements without a sync")
    shutil.rmtree(directory)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
