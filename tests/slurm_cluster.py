"""A private Slurm of one node on this machine: its daemons are started, and ended by their process ids.

It needs root and Debian's packages slurmctld, slurmd, slurm-client and munge; ``make slurm`` installs them. There is no
accounting (sacct), as on many small clusters.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MAX_ARRAY_SIZE = 6
"""So that a handful of tasks is more than an array may have: its highest index is one less."""
CPUS, MEMORY_MB, GPUS = 4, 8000, 2
PATIENCE_S = 30.0
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/run/munge.sock,cred_expire=5
CryptoType=crypto/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.log
SlurmctldParameters=preempt_send_user_signal
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0,requeue_delay=0
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=3
MinJobAge=120
MaxArraySize={max_array_size}
SlurmctldTimeout=30
SlurmdTimeout=10
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} CoresPerSocket={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE DefMemPerCPU=200 State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes={host} MaxTime=INFINITE DefMemPerCPU=200 State=UP PriorityTier=10
"""


def missing() -> str:
    """Why there can be no such cluster here; empty where there can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    absent = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    return f"{', '.join(absent)} not installed; make slurm does it" if absent else ""


@dataclass
class Cluster:
    """A cluster with two partitions, ``main`` and ``urgent``, whose jobs preempt those of ``main``."""

    root: Path
    host: str = field(default_factory=lambda: socket.gethostname().partition(".")[0])

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be a client."""
        return {"SLURM_CONF": str(self.root / "slurm.conf")}

    def up(self) -> None:
        """Start all daemons and wait until the node takes jobs."""
        for name in ("state", "spool", "munge", "run", "log", "gpu"):
            (self.root / name).mkdir(parents=True)
        (self.root / "munge").chmod(0o700)  # the key's; the socket's folder is everybody's
        self._configure()
        self._start_munge()
        self.start_controller()
        self.start_node()

    def down(self) -> None:
        """End all jobs and daemons."""
        with suppress(subprocess.SubprocessError, TimeoutError):
            if self.is_up:
                self.clear()
        for name in ("slurmd", "slurmctld", "munged"):
            self.end(name)

    def clear(self) -> None:
        """End all jobs."""
        self.ask("scancel", "--user=root")
        self._wait_for(lambda: not self.ask("squeue", "--noheader").strip())

    @property
    def is_up(self) -> bool:
        return (self.root / "run" / "slurmctld.pid").exists()

    def start_controller(self) -> None:
        self._run("slurmctld", "-f", str(self.root / "slurm.conf"))
        self._wait_for(lambda: self.ask("scontrol", "ping").find("is UP") >= 0)

    def start_node(self) -> None:
        self._run("slurmd", "-f", str(self.root / "slurm.conf"), "-N", self.host)
        self._wait_for(lambda: self.ask("sinfo", "--noheader", "--format=%T", "--partition=main").strip()
                       in ("idle", "mixed", "allocated"))  # fmt: skip

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a daemon: munged, slurmctld or slurmd. number: of the signal."""
        place = self.root / "run" / f"{name}.pid"
        if not place.exists():
            return
        pid = int(place.read_text())
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        with suppress(TimeoutError):
            self._wait_for(lambda: not Path(f"/proc/{pid}").exists())
            place.unlink(missing_ok=True)
            return
        os.kill(pid, signal.SIGKILL)
        place.unlink(missing_ok=True)

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints; empty where it fails."""
        return subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, timeout=20,
                              check=False).stdout  # fmt: skip

    def logs(self) -> str:
        """The ends of the daemons' logs."""
        return "\n".join(path.read_text("utf-8", "replace")[-2000:] for path in sorted((self.root / "log").iterdir()))

    def _configure(self) -> None:
        controller_port, node_port = _free_ports(2)
        values: Mapping[str, object] = {
            "host": self.host, "root": self.root, "controller_port": controller_port, "node_port": node_port,
            "max_array_size": MAX_ARRAY_SIZE, "cpus": CPUS, "memory": MEMORY_MB, "gpus": GPUS,
        }  # fmt: skip
        (self.root / "slurm.conf").write_text(CONF.format_map(values))
        (self.root / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        for number in range(GPUS):  # devices like /dev/null, which Slurm takes for GPUs
            device = self.root / "gpu" / f"nvidia{number}"
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        files = f"{self.root}/gpu/nvidia[0-{GPUS - 1}]"
        (self.root / "gres.conf").write_text(f"NodeName={self.host} Name=gpu File={files}\n")

    def _start_munge(self) -> None:
        key = self.root / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self._run("munged", f"--key-file={key}", f"--socket={self.root}/run/munge.sock",
                  f"--pid-file={self.root}/run/munged.pid", f"--log-file={self.root}/munge/log",
                  f"--seed-file={self.root}/munge/seed", "--num-threads=2")  # fmt: skip

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, env=os.environ | self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=False)  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr.decode()}\n{self.logs()}")

    def _wait_for(self, is_so: object) -> None:
        assert callable(is_so)
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > end:
                raise TimeoutError(self.logs())
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
