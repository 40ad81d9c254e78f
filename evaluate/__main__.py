"""Compares methods of anonymisation on folders of originals and results: `python -m evaluate`.

Files belong together by their names without endings, pictures of a batch by the names of their inputs; `python -m
evaluate.datasets` lists CelebA-HQ and FFHQ. Each result is compared with its original by recognisers that did not
guide, and by the models that --estimator names, each with a JSON file beside it that declares what it takes and gives.
docs/paper.md describes everything. The report says who is re-identified: treat it as personal data.
"""

from __future__ import annotations

import os

# Several processes share the cores, and a second thread waits by computing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.environment import SetupError
from reverse_personalization.geometry.faces import DEFAULT_THRESHOLD

from .files import REPORT_FILE
from .pairing import read_methods, read_pictures
from .published import PAPER, read_published

FALSE_MATCH_RATE = 0.001
"""Share of pairs of different people that a judge may take for one person."""


def arguments_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--originals",
        type=Path,
        required=True,
        metavar="PLACE",
        help="pictures of one person each: a folder, or a text file with a path a line",
    )
    parser.add_argument(
        "--results",
        action="append",
        required=True,
        metavar="NAME=PLACE",
        help="a method and its results: a folder, a list, or the manifest.jsonl of a batch; repeat",
    )
    parser.add_argument("--gallery", type=Path, metavar="PLACE", help="another picture of the people, for rank 1")
    parser.add_argument(
        "--people", type=Path, metavar="CSV", help='lines "stem,person"; without it every stem is another person'
    )
    parser.add_argument(
        "--recogniser",
        action="append",
        default=[],
        metavar="PACK_OR_FILE",
        help="a judge: an InsightFace pack or a recogniser's ONNX file, by path or by name in ComfyUI's models; repeat",
    )
    parser.add_argument(
        "--detector", required=True, metavar="PACK", help="the pack that finds the faces for all judges"
    )
    parser.add_argument("--guide", metavar="PACK_OR_FILE", help="the recogniser that guided, which may not judge")
    parser.add_argument(
        "--estimator",
        action="append",
        default=[],
        type=Path,
        metavar="FILE.onnx",
        help="a model with its declaration FILE.json beside it; repeat",
    )
    parser.add_argument(
        "--false-match-rate",
        type=float,
        default=FALSE_MATCH_RATE,
        metavar="R",
        help="share of pairs of different originals that a judge may match (default: %(default)s)",
    )
    parser.add_argument(
        "--lowest-score",
        type=float,
        default=DEFAULT_THRESHOLD,
        metavar="S",
        help="lowest score of a face, by the detector (default: %(default)s)",
    )
    parser.add_argument(
        "--published",
        type=Path,
        default=PAPER,
        metavar="JSON",
        help="published numbers to print beside the measured ones (default: the paper's settings)",
    )
    parser.add_argument(
        "--provider", default="CPU", metavar="NAME", help="what ONNX Runtime computes on (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the report")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON in the last line")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if something cannot be evaluated."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = arguments_parser().parse_args(given)
    try:
        if not 0 < options.false_match_rate < 1:
            raise ValueError(f"--false-match-rate is {options.false_match_rate:g}; expected a share between 0 and 1")
        pictures = read_pictures(options.originals, read_methods(options.results), options.gallery, options.people)
        published = read_published(options.published)
        # These start ComfyUI, which takes seconds.
        from .evaluation import evaluate
        from .faces import open_observers

        observers = open_observers(
            options.detector,
            options.recogniser,
            options.guide,
            options.estimator,
            options.provider,
            options.lowest_score,
        )
        command = f"python -m evaluate {shlex.join(given)}"
        figures = evaluate(observers, pictures, options.false_match_rate, published, options.out, command)
    except (OSError, ValueError, RuntimeError, SetupError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(options.out / REPORT_FILE)
    if options.json:
        print(json.dumps(figures, allow_nan=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
