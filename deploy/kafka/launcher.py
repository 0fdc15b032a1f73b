"""What can run the broker here: Java with Maven's jars, else Docker, else one line that says what is missing.

Both launchers take the same JVM arguments, so that there is one way to configure the broker.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

HERE: Final = Path(__file__).parent
POM: Final = HERE / "pom.xml"
LIB: Final = HERE / "lib"
JAVA_MIN: Final = 17

_VERSION = re.search(r"<kafka\.version>(.+?)</", POM.read_text())
assert _VERSION is not None, "pom.xml names no kafka.version"
VERSION: Final = _VERSION[1]
JARS: Final = LIB / f"{VERSION}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:8]}"
"""Directory of the jars; there only once they are complete."""


class NoKafka(Exception):
    """No broker can be started here; the message is one line and says what would help."""


class Launcher(Protocol):
    """Something that runs a JVM with Kafka's classes."""

    def fetch(self) -> None:
        """Download what is not here yet, once; raises :class:`NoKafka`."""

    def argv(self, directory: Path, options: Sequence[str], main_class: str, *args: str) -> list[str]:
        """The command that runs ``main_class``, which may write below ``directory`` only."""


class Java:
    """The JVM of this machine with the jars that Maven fetched."""

    def fetch(self) -> None:
        if JARS.is_dir():
            return
        LIB.mkdir(exist_ok=True)
        with (LIB / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if JARS.is_dir():  # another process was first
                return
            incomplete = LIB / f".{JARS.name}.incomplete"
            shutil.rmtree(incomplete, ignore_errors=True)
            # Tethered, because an interrupted start must not leave a download behind.
            maven = [sys.executable, "-m", "deploy.tether", "mvn", "-q", "-B", "-f", str(POM)]
            done = subprocess.run(
                [*maven, "dependency:copy-dependencies", f"-DoutputDirectory={incomplete}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=HERE.parent.parent,
                check=False,
            )
            if done.returncode != 0:
                reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no message")
                raise NoKafka(f"Maven could not fetch Kafka {VERSION}: {reason.strip()}")
            incomplete.rename(JARS)

    def argv(self, directory: Path, options: Sequence[str], main_class: str, *args: str) -> list[str]:
        return ["java", *options, "-cp", f"{JARS}/*", main_class, *args]


class Docker:
    """The same in a container that shares network and user with this process."""

    def fetch(self) -> None:
        """``docker run`` pulls the image itself."""

    def argv(self, directory: Path, options: Sequence[str], main_class: str, *args: str) -> list[str]:
        container = ["docker", "run", "--rm", "--init", "--network=host", f"--user={os.getuid()}:{os.getgid()}"]
        image = [f"--volume={directory}:{directory}", "--entrypoint=java", f"apache/kafka:{VERSION}"]
        return [*container, *image, *options, "-cp", "/opt/kafka/libs/*", main_class, *args]


def find() -> Launcher:
    """The launcher to use here; raises :class:`NoKafka`."""
    missing = _missing_for_java()
    if missing is None:
        return Java()
    if docker_works():
        return Docker()
    raise NoKafka(
        f"no local Kafka: {missing}, and no running Docker; install Java {JAVA_MIN}+ and Maven, "
        "or name a broker in HEADWATER_KAFKA_BOOTSTRAP"
    )


def _missing_for_java() -> str | None:
    if shutil.which("java") is None:
        return "java is not on the PATH"
    shown = subprocess.run(["java", "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', shown.stderr)
    if version is None or int(version[1]) < JAVA_MIN:
        return f"java is older than {JAVA_MIN}"
    if not JARS.is_dir() and shutil.which("mvn") is None:
        return "mvn is not on the PATH"
    return None


def docker_works() -> bool:
    """Whether there is a Docker daemon that answers."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(
            ["docker", "info"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0
