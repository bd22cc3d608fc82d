"""The image as it runs: crun, a read-only root, its own processes, no network but loopback, few rights."""

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.client import KEY
from tests.gateway import Gateway, wait_until
from tests.image.build import description

# What entrypoint.sh needs to become two users, and to end them. deploy/kubernetes.yaml grants the same.
CAPABILITIES = ("CAP_CHOWN", "CAP_KILL", "CAP_SETGID", "CAP_SETUID")
START_SECONDS = 240.0
STOP_SECONDS = 10.0  # what Cloud Run gives between SIGTERM and SIGKILL
GATEWAY_UID, VLLM_UID = 10001, 10002
KEYS_FOLDER = "/mnt"
ADMINS = {"key": KEY, "scopes": ["inference", "admin"]}
WRITABLE = {
    "/tmp": "mode=1777",
    "/dev/shm": "mode=1777",
    "/var/lib/vllm-gateway": "mode=700,uid={gateway},gid={gateway}",
    "/var/cache/vllm": "mode=700,uid={vllm},gid={vllm}",
}
# What engines hide of the kernel, or show without letting it be changed.
MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
# Sized for a machine without a GPU.
SMALL = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_EXTRA_ARGS": "--enforce-eager", "MAX_MODEL_LEN": "4096"}


class Container(Gateway):
    """One container of the image. `rootfs` is the image's, which nobody changes."""

    def __init__(
        self,
        folder: Path,
        rootfs: Path,
        *,
        uid: int = 0,
        capabilities: Sequence[str] | None = None,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.rootfs = rootfs
        self.uid = uid
        self.capabilities = CAPABILITIES if capabilities is None else capabilities
        self.image = description()["Docker"]["config"]
        self.keys_file = folder / "keys" / "keys.json"
        self.keys_file.parent.mkdir()
        self.keys_file.write_text(json.dumps({"tester": ADMINS}))
        # As a platform mounts a secret for one user; the first process cannot read it either.
        self.keys_file.chmod(0o400)
        os.chown(self.keys_file, uid or GATEWAY_UID, uid or GATEWAY_UID)
        self.log_file = folder / "container.log"
        self.port = int(settings.get("PORT", 8080))
        self.id = f"vllm-gateway-{uuid.uuid4().hex[:12]}"
        own = {"API_KEYS_FILE": f"{KEYS_FOLDER}/keys.json", **SMALL}
        self.environ = {name: str(value) for name, value in {**own, **settings}.items()}

    def __enter__(self) -> "Container":
        self.start()
        return self

    def start(self, stdout: Any = None) -> None:
        """Create and start it, without waiting; its log goes to `stdout`, or to a file."""
        bundle = self.folder / "bundle"
        bundle.mkdir(exist_ok=True)
        (bundle / "config.json").write_text(json.dumps(self.config()))
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                self.crun("run", "--bundle", bundle, self.id),
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
            )

    def __exit__(self, *_exc: object) -> None:
        """Nothing of it is left, and no key is in its log."""
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(self.crun("delete", "--force", self.id), capture_output=True, timeout=30)
        if self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
        self.process.wait()
        assert KEY.encode() not in self.log_file.read_bytes()

    def crun(self, command: str, *arguments: Any) -> list[str]:
        """crun's command line."""
        state = self.folder / "state"
        return ["crun", "--root", str(state), "--cgroup-manager", "disabled", command, *map(str, arguments)]

    def config(self) -> dict[str, Any]:
        """The OCI runtime's description: the image's own settings, and what an orchestrator adds."""
        given = dict(entry.split("=", 1) for entry in self.image["Env"])
        kinds = ("bounding", "effective", "permitted") if self.uid == 0 else ("bounding",)
        process = {
            "terminal": False,
            "user": {"uid": self.uid, "gid": self.uid},
            "args": [*self.image["Entrypoint"], *(self.image.get("Cmd") or ())],
            "env": [f"{name}={value}" for name, value in {**given, **self.environ}.items()],
            "cwd": self.image["WorkingDir"],
            "capabilities": {kind: list(self.capabilities) for kind in kinds},
            "noNewPrivileges": True,
        }
        spaces = [
            {"type": each} for each in ("pid", "mount", "ipc", "uts")
        ]  # the network is that of the tests
        return {
            "ociVersion": "1.0.0",
            "process": process,
            "root": {"path": str(self.rootfs), "readonly": True},
            "hostname": "container",
            "mounts": self.mounts(),
            "linux": {"namespaces": spaces, "maskedPaths": MASKED, "readonlyPaths": READ_ONLY},
        }

    def mounts(self) -> list[dict[str, Any]]:
        """What is not the image's: the kernel's file systems, memory to write to, the file of keys."""
        safe = ["nosuid", "nodev", "noexec"]
        owners = {"gateway": self.uid or GATEWAY_UID, "vllm": self.uid or VLLM_UID}
        return [
            mount("/proc", "proc", "proc", safe),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "mode=755", "size=65536k"]),
            mount(
                "/dev/pts",
                "devpts",
                "devpts",
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
            ),
            mount("/sys", "sysfs", "sysfs", [*safe, "ro"]),
            *(
                mount(place, "tmpfs", "tmpfs", ["nosuid", "nodev", *how.format(**owners).split(",")])
                for place, how in WRITABLE.items()
            ),
            mount(KEYS_FOLDER, "bind", str(self.keys_file.parent), ["bind", "ro"]),
        ]

    def has_ended(self) -> bool:
        """Whether the container is gone."""
        return self.process.poll() is not None

    def wait_ready(self) -> None:
        """Until the model has answered."""
        self.wait_for(lambda: self.status_of("/health/ready") == 200)

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Until it holds, of a container that has not ended meanwhile."""
        until = time.monotonic() + START_SECONDS
        while not condition():
            assert not self.has_ended(), self.log_file.read_text()[-3000:]
            assert time.monotonic() < until, self.log_file.read_text()[-3000:]
            time.sleep(0.05)

    def status_of(self, target: str) -> int:
        """An answer's status; 0 while nobody answers."""
        try:
            return self.request("GET", target).status
        except OSError:
            return 0

    @property
    def first(self) -> psutil.Process:
        """entrypoint.sh: the container's process 1, by its number out here."""

        def find() -> int:
            state = subprocess.run(self.crun("state", self.id), capture_output=True, text=True)
            return int(json.loads(state.stdout)["pid"]) if state.returncode == 0 else 0

        return psutil.Process(wait_until(find))

    def family(self) -> list[psutil.Process]:
        """Every process in it."""
        return [self.first, *self.first.children(recursive=True)]

    def running(self, word: str) -> list[psutil.Process]:
        """Those whose command line has the word."""
        return [each for each in self.family() if any(word in part for part in command_of(each))]

    @property
    def vllm(self) -> psutil.Process:
        """vLLM's server."""
        return self.running("vllm.entrypoints")[0]

    @property
    def master(self) -> psutil.Process:
        """gunicorn's."""
        return self.running("gunicorn")[0]

    def stop(self) -> float:
        """SIGTERM to its first process, as a platform does; returns the seconds until it was gone."""
        began = time.monotonic()
        self.first.send_signal(signal.SIGTERM)
        self.process.wait(START_SECONDS)
        return time.monotonic() - began

    def execute(self, *command: Any) -> "subprocess.CompletedProcess[bytes]":
        """Run a program in the container, as its user."""
        return subprocess.run(self.crun("exec", self.id, *command), capture_output=True, timeout=30)

    def execute_as(self, uid: int, *command: Any) -> "subprocess.CompletedProcess[bytes]":
        """The same as another user who has no rights but his own."""
        user = ("--reuid", uid, "--regid", uid, "--clear-groups", "--no-new-privs", "--inh-caps=-all")
        return self.execute("setpriv", *user, "--ambient-caps=-all", "--", *command)

    def check_health(self) -> int:
        """What the image's HEALTHCHECK returns, run as an engine runs it."""
        kind, *command = self.image["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.execute(*command).returncode

    def number_inside(self, process: psutil.Process) -> str:
        """A process's number in the container."""
        return self.status_lines(process)["NSpid"].split()[-1]

    def status_lines(self, process: psutil.Process) -> dict[str, str]:
        """What the kernel says of a process."""
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def mount(place: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    """One entry of the runtime's list."""
    return {"destination": place, "type": kind, "source": source, "options": options}


def command_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing when it is gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
