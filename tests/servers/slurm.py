"""A SLURM cluster of several nodes on one machine: Debian's slurm-wlm and munge, with no cgroups and no accounting.

All that it writes is below a folder. Nothing of the machine is changed: that jobs find its configuration at
/etc/slurm, where their clients look for it, is true in a namespace of their own only.
"""

import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers import free_port, process
from servers.awaited import until

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "unshare")

_CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=30
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,bf_interval=2,batch_sched_delay=0
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=2
SlurmdTimeout=60
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=n1 MaxTime=00:10:00 State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A cluster that runs."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need to find it."""
        return {"SLURM_CONF": str(self.folder / "etc" / "slurm.conf")}

    def __call__(self, *command: object) -> str:
        """Runs sinfo, scancel, scontrol …; what it prints."""
        environment = os.environ | self.environment
        done = subprocess.run(
            [*map(str, command)], env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def clear(self) -> None:
        """Cancels all jobs, and puts all nodes at work again."""
        self("scancel", "--user", getpass.getuser())
        for node in set(self("sinfo", "-h", "-N", "-t", "down,drain", "-o", "%N").split()):
            self("scontrol", "update", f"nodename={node}", "state=resume")

    def finished(self) -> dict[str, dict[str, str]]:
        """Every job that ended, by its id: JobState, Partition, NodeList … as SLURM logged them."""
        try:
            lines = (self.folder / "finished.txt").read_text().splitlines()
        except FileNotFoundError:
            return {}
        jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return {job["JobId"]: job for job in jobs}


@contextmanager
def slurm(folder: Path, nodes: int = 3, cpus: int = 4, memory: int = 4000) -> Iterator[Slurm]:
    """A cluster with that many nodes, each with that many CPUs and MB of memory."""
    for name in ("etc", "state", "munge", *(f"spool-n{node + 1}" for node in range(nodes))):
        (folder / name).mkdir(mode=0o700 if name == "munge" else 0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    host = socket.gethostname().split(".")[0]
    described = "\n".join(
        f"NodeName=n{node + 1} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} "
        f"CPUs={cpus} RealMemory={memory}"
        for node in range(nodes)
    )
    configuration = folder / "etc" / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=host, port=free_port(), folder=folder, user=getpass.getuser(), nodes=described
        )
    )
    cluster = Slurm(folder)
    with ExitStack() as stack:

        def start(name: str, *command: object) -> None:
            stack.enter_context(process(command, folder / f"{name}.log"))

        munge = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munge" / "pid"}
        munge |= {"seed-file": folder / "munge" / "seed", "log-file": folder / "munge" / "log"}
        start(
            "munged",
            "munged",
            "--foreground",
            "--force",
            *(f"--{name}={path}" for name, path in munge.items()),
        )
        start("slurmctld", "slurmctld", "-D", "-i", "-f", configuration)
        for node in range(nodes):
            script = 'mount --bind "$1" /etc/slurm && exec slurmd -D -f "$2" -N "$3"'
            namespace = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
            arguments = [configuration.parent, configuration, f"n{node + 1}"]
            start(f"slurmd-n{node + 1}", *namespace, "sh", "-c", script, "slurmd", *arguments)
        _await(cluster, nodes)
        yield cluster


def _await(cluster: Slurm, nodes: int) -> None:
    """Waits until all nodes are idle."""

    def idle() -> bool:
        try:
            return len(set(cluster("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split())) == nodes
        except subprocess.CalledProcessError:
            return False

    until(
        idle, said=lambda: "".join(path.read_text()[-1000:] for path in sorted(cluster.folder.glob("*.log")))
    )
