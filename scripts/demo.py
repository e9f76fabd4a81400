"""Show the plugin at work, in an environment of its own.

Makes ``.venv-demo`` and opens napari on a sample image with the plugin docked and ready to click.
Without a display, or with ``--headless``, it segments the sample from example prompts instead and
writes the labels and a picture.

    python3 scripts/demo.py
    python3 scripts/demo.py --headless --output results
"""

import subprocess
import sys

from bootstrap import (
    ROOT,
    display_command,
    ensure_environment,
    ensure_system_packages,
    has_display,
    say,
)
from demo_app import parse_arguments


def main(arguments: list[str]) -> int:
    """Prepare, then run ``demo_app.py``, and return its exit status."""
    options = parse_arguments(arguments)
    headless = options.headless or (not has_display() and options.screenshot is None)
    ensure_system_packages(window=not headless)
    requirements = ["--editable", ".", "napari[pyqt6]"]
    python = ensure_environment(ROOT / ".venv-demo", requirements)
    command = [str(python), str(ROOT / "scripts" / "demo_app.py"), *arguments]
    if headless and not options.headless:
        say("There is no display, so the sample is segmented without a window.")
        command.append("--headless")
    if not headless:
        command = [*display_command(), *command]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
