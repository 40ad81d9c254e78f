"""Screenshots of every template as it opens on a laptop, in both renderers, to look at.

    .venv/bin/python -m tests.template_pictures FOLDER            writes NAME-canvas.png and NAME-vue.png
    .venv/bin/python -m tests.template_pictures FOLDER NAME ...   only of these workflows

Says of each at which scale it opened. It needs what tests/editor/test_frontend.py needs, and takes some minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from harness.workflow import TEMPLATES
from tests.browser import LAPTOP, Look, running_editor


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.template_pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write them")
    parser.add_argument("names", nargs="*", choices=[*TEMPLATES, []], metavar="NAME", help="a workflow (default: all)")
    parser.add_argument("--palette", default="dark", help="the editor's colours (default: %(default)s)")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_editor(Path(folder), {}) as (_, editor):
        editor.page.set_viewport_size(LAPTOP)  # type: ignore[arg-type]
        for vue in (False, True):
            editor.draw_as(Look(vue, asked.palette))
            for name in asked.names or TEMPLATES:
                editor.open_template(name, whole=False)
                renderer = "vue" if vue else "canvas"
                editor.page.screenshot(path=asked.folder / f"{name}-{renderer}.png")
                scale = editor.page.evaluate("app.canvas.ds.scale")
                print(f"{TEMPLATES[name]}, {renderer}: scale {scale:.2f}", flush=True)


if __name__ == "__main__":
    main()
