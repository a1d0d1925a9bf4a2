"""Hadoop's YARN on this machine, with the commands `mapred` and `hadoop`; its file system is the local one.

What it runs by itself is Hadoop's cluster for tests: a resource manager and a node manager in one process. Tasks are
processes of their own, and are tried again as on a cluster.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

from servers import free_port, process, script
from servers.awaited import until
from servers.jars import SHORT, class_path  # containers do not inherit JAVA_TOOL_OPTIONS of conftest.py

OPENED = "--add-opens=java.base/java.lang=ALL-UNNAMED"  # its libraries are older than Java 17
_ADDRESSES = (
    "yarn.resourcemanager.address", "yarn.resourcemanager.scheduler.address",
    "yarn.resourcemanager.resource-tracker.address", "yarn.resourcemanager.admin.address",
    "yarn.resourcemanager.webapp.address", "yarn.nodemanager.address", "yarn.nodemanager.localizer.address",
    "yarn.nodemanager.webapp.address", "mapreduce.jobhistory.address", "mapreduce.jobhistory.webapp.address",
    "mapreduce.jobhistory.admin.address",
)  # fmt: skip
_LOGGING = """\
log4j.rootLogger=WARN,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%c{1}: %m%n
"""
_COMMAND = """\
case "${{0##*/}} $1" in
    "mapred streaming") main=org.apache.hadoop.streaming.HadoopStreaming ;;
    "hadoop fs") main=org.apache.hadoop.fs.FsShell ;;
esac
exec java -cp '{classes}' "$main" "${{@:2}}"
"""


@contextmanager
def hadoop(folder: Path, tasks: dict[str, str]) -> Iterator[Path]:
    """Runs the cluster; `tasks`: environment of its tasks. Gives the directory of its commands."""
    jars = class_path("hadoop")
    addresses = {name: f"127.0.0.1:{free_port()}" for name in _ADDRESSES}
    environment = ",".join(f"{name}={value}" for name, value in tasks.items())
    settings = addresses | {
        "yarn.minicluster.fixed.ports": "true",
        "yarn.minicluster.yarn.nodemanager.resource.memory-mb": "2048",
        "yarn.scheduler.minimum-allocation-mb": "256",
        "yarn.nodemanager.disk-health-checker.enable": "false",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
        "yarn.application.classpath": jars,
        "yarn.app.mapreduce.am.staging-dir": f"{folder}/staging",
        "yarn.app.mapreduce.am.resource.mb": "512",
        "yarn.app.mapreduce.am.command-opts": f"-Xmx300m {OPENED} {SHORT}",
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "100",
        "yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms": "100",
        "mapreduce.client.completion.pollinterval": "200",
        "mapreduce.client.progressmonitor.pollinterval": "200",
        "hadoop.tmp.dir": f"{folder}/tmp",
        "mapreduce.framework.name": "yarn",
        "mapreduce.application.classpath": jars,
        "mapreduce.jobhistory.minicluster.fixed.ports": "true",
        "mapreduce.shuffle.port": "0",
        "mapreduce.map.memory.mb": "512",
        "mapreduce.reduce.memory.mb": "512",
        "mapreduce.map.env": environment,
        "mapreduce.reduce.env": environment,
        "mapred.child.java.opts": f"-Xmx200m {SHORT}",
    }
    properties = (
        f"<property><name>{name}</name><value>{escape(value)}</value></property>"
        for name, value in settings.items()
    )
    text = f"<configuration>{''.join(properties)}</configuration>"
    for name in ("conf", "bin"):
        (folder / name).mkdir(parents=True)
    for name in ("core-site.xml", "mapred-site.xml", "yarn-site.xml"):
        (folder / "conf" / name).write_text(text)
    (folder / "conf" / "log4j.properties").write_text(_LOGGING)
    classes = f"{folder}/conf:{jars}"
    for name in ("mapred", "hadoop"):
        script(folder / "bin" / name, _COMMAND.format(classes=classes))
    port = addresses["yarn.resourcemanager.address"].rpartition(":")[2]
    details, log = folder / "details.json", folder / "cluster.log"
    server = [
        "env", "-C", folder, f"HADOOP_HOME={folder}", "java", OPENED, "-Xmx400m", f"-Dhadoop.log.dir={folder}/logs",
        "-cp", classes, "org.apache.hadoop.mapreduce.MiniHadoopClusterManager", "-nodfs", "-rmport", port,
        "-writeDetails", details,
    ]  # fmt: skip
    with process(server, log) as child:
        until(details.exists, lambda: child.poll() is None, log.read_text)
        yield folder / "bin"
