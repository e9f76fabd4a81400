import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bootstrap

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no apt, and no bin/python")


@pytest.fixture
def debian(monkeypatch):
    """Make this look like a Debian without these packages; return the commands that are run."""
    commands = []

    def run(command, **_):
        commands.append(list(command))
        listing = "installed\tlibgl1\t\ninstalled\tlibglib2.0-0t64\tlibglib2.0-0 (= 2.84), other\n"
        return subprocess.CompletedProcess(command, 0, stdout=listing)

    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    monkeypatch.setattr(bootstrap, "WINDOW_PACKAGES", ("libgl1", "libglib2.0-0", "libegl1"))
    monkeypatch.setenv("DISPLAY", ":0")
    return commands


def test_a_user_is_told_the_line_to_run(debian, monkeypatch):
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as exit_info:
        bootstrap.ensure_system_packages(window=True)
    assert str(exit_info.value).endswith(
        "sudo apt-get update && sudo apt-get install --no-install-recommends libegl1"
    )
    assert not [command for command in debian if "apt-get" in command[0]]


def test_root_installs_what_is_missing_and_nothing_else(debian, monkeypatch):
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 0)
    bootstrap.ensure_system_packages(window=True)
    update, install = (command for command in debian if command[0] == "apt-get")
    assert "update" in update
    assert install[-1] == "libegl1"
    assert install[-2].startswith("-")


def test_xvfb_is_asked_for_only_without_a_display(debian, monkeypatch):
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 0)
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    bootstrap.ensure_system_packages(window=True)
    assert debian[-1][-3:] == ["libegl1", "xvfb", "xauth"]
    assert bootstrap.display_command()[0] == "xvfb-run"


def test_nothing_is_asked_for_without_a_window(debian):
    bootstrap.ensure_system_packages(window=False)
    assert not [command for command in debian if command[0] == "apt-get"]


def test_an_environment_is_made_once_and_renewed_when_its_content_changes(tmp_path, monkeypatch):
    commands = []

    def run(command):
        commands.append("venv" if "venv" in command else "pip")
        if "venv" in command:
            # Not a link: that Python would not find its packages.
            python = Path(command[-1], "bin", "python")
            python.parent.mkdir(parents=True)
            python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
            python.chmod(0o755)

    monkeypatch.setattr(bootstrap, "_run", run)
    folder = tmp_path / "an environment"
    python = bootstrap.ensure_environment(folder, ["first"])
    assert commands == ["venv", "pip"]
    assert bootstrap.ensure_environment(folder, ["first"]) == python
    assert commands == ["venv", "pip"]
    bootstrap.ensure_environment(folder, ["second"])
    assert commands == ["venv", "pip", "pip"]


def test_a_failed_install_is_not_taken_for_an_environment(tmp_path, monkeypatch):
    def fail(_):
        raise SystemExit("pip failed")

    monkeypatch.setattr(bootstrap, "_is_sound", lambda _: True)
    monkeypatch.setattr(bootstrap, "_run", fail)
    for _ in range(2):
        with pytest.raises(SystemExit, match="pip failed"):
            bootstrap.ensure_environment(tmp_path, ["anything"])
