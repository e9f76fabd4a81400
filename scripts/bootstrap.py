"""What ``demo.py`` and ``test.py`` share: system packages, a virtual environment, a display.

Needs the standard library only, so that it runs with the bare Python of the system.
"""

import hashlib
import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - nothing has checked it before this line
    sys.exit(f"Python 3.11 or newer is needed, this is {platform.python_version()}.")

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"

# Shared libraries that a Qt window needs and that no Python package brings.
WINDOW_PACKAGES = (
    "libgl1",
    "libegl1",
    "libglib2.0-0",
    "libfontconfig1",
    "libdbus-1-3",
    "libxkbcommon0",
    "libxkbcommon-x11-0",
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-keysyms1",
    "libxcb-shape0",
)
XVFB_PACKAGES = ("xvfb", "xauth")
XVFB_RUN = ("xvfb-run", "-a", "-s", "-screen 0 1280x1024x24")


def say(text: str) -> None:
    """Print one line to stderr, where progress goes."""
    print(text, file=sys.stderr, flush=True)


def has_display() -> bool:
    """Return whether a window can be opened."""
    if platform.system() != "Linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def display_command() -> list[str]:
    """Return what to put in front of a command so that it has a display, if anything."""
    return [] if has_display() else list(XVFB_RUN)


def ensure_system_packages(*, window: bool) -> None:
    """Install the Debian packages that are missing, or say how and exit.

    Does nothing where there is no apt.

    Parameters
    ----------
    window : bool
        Whether Qt windows will be opened. A virtual display is asked for where there is none.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-query")):
        return
    wanted: list[str] = []
    if importlib.util.find_spec("ensurepip") is None:
        wanted.append("python3-venv")
    if window:
        wanted.extend(WINDOW_PACKAGES)
        if not has_display():
            wanted.extend(XVFB_PACKAGES)
    missing = _not_installed(wanted)
    if not missing:
        return
    if os.geteuid() != 0:
        sys.exit(
            "Some system packages are missing. Install them and run this again:\n"
            "sudo apt-get update && "
            f"sudo apt-get install --no-install-recommends {' '.join(missing)}"
        )
    say(f"Installing system packages: {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing]
    for command in (["apt-get", "update", "--quiet"], install):
        # The output of apt goes to stderr: stdout belongs to what the scripts answer.
        done = subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
        # A repository that cannot be reached need not be the one with these packages.
        if done.returncode and command is install:
            sys.exit(f"{' '.join(command)} failed with exit status {done.returncode}.")
    importlib.invalidate_caches()


def ensure_environment(folder: Path, requirements: list[str]) -> Path:
    """Make a virtual environment with this project in it, or take the one that is there.

    It is used again while Python, ``pyproject.toml``, the constraints and the requirements stay
    the same.

    Parameters
    ----------
    folder : Path
        Where the environment lives.
    requirements : list of str
        Arguments for ``pip install``.

    Returns
    -------
    Path
        The environment's Python.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp_file = folder / "installed"
    stamp = _stamp(requirements)
    if stamp_file.is_file() and stamp_file.read_text() == stamp and _is_sound(python):
        return python
    stamp_file.unlink(missing_ok=True)
    if not _is_sound(python):
        say(f"Making the virtual environment {folder}")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    say("Installing Python packages; the first time this takes a few minutes")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--constraint", str(CONSTRAINTS), *requirements])
    stamp_file.write_text(stamp)
    return python


def _not_installed(wanted: list[str]) -> list[str]:
    query = [
        "dpkg-query",
        "--show",
        "--showformat",
        "${db:Status-Status}\t${Package}\t${Provides}\n",
    ]
    listing = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    installed: set[str] = set()
    for line in listing.splitlines():
        status, package, provides = line.split("\t")
        if status == "installed":
            # "libglib2.0-0 (= 2.84)": newer releases rename packages and keep the old name here.
            installed |= {package, *(item.split()[0] for item in provides.split(",") if item)}
    return [package for package in wanted if package not in installed]


def _stamp(requirements: list[str]) -> str:
    hasher = hashlib.sha256("\n".join([sys.version, str(ROOT), *requirements]).encode())
    for file in (ROOT / "pyproject.toml", CONSTRAINTS):
        hasher.update(file.read_bytes())
    return hasher.hexdigest()


def _is_sound(python: Path) -> bool:
    """Return whether an environment is whole and was made by the Python that is running."""
    if not python.is_file():
        return False
    command = [str(python), "-c", "import sys, pip; print(sys.version)"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == sys.version


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with exit status {done.returncode}.")
