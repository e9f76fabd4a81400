"""Run every check of this project in an environment of its own.

Makes ``.venv-test``, installs the project with what its tests need, then runs ruff, mypy, the
build of the documentation and the whole of pytest, under a virtual display where there is none.
Arguments are passed on to pytest:

    python3 scripts/test.py
    python3 scripts/test.py -m "not slow" -k predictor
"""

import subprocess
import sys

from bootstrap import (
    ROOT,
    display_command,
    ensure_environment,
    ensure_system_packages,
    say,
)

# What a file sets up once is set up in one process, and files start in the order that
# tests/conftest.py gives them.
PROCESSES = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
SITE = "scripts/docs/mkdocs.yml"


def main(arguments: list[str]) -> int:
    """Run the checks and return the exit status: 0 only if every one of them passed."""
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    ensure_system_packages(window=True)
    python = str(ensure_environment(ROOT / ".venv-test", ["--editable", ".[test]"]))
    checks = {
        "ruff check": [python, "-m", "ruff", "check"],
        "ruff format": [python, "-m", "ruff", "format", "--check"],
        "mypy": [python, "-m", "mypy"],
        # Warnings of a quiet build would not count.
        "documentation": [python, "-m", "mkdocs", "build", "--strict", "-f", SITE],
        "pytest": [*display_command(), python, "-m", "pytest", *PROCESSES, *arguments],
    }
    failed = []
    for name, command in checks.items():
        say(f"== {name}")
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    if failed:
        say(f"Failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
