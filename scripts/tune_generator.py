"""Find the thresholds with which a model finds most objects, and judge it with them.

    python scripts/tune_generator.py                        tune the starter, write its model.json
    python scripts/tune_generator.py --evaluate             figures of the model card
    python scripts/tune_generator.py --model MY-MODEL       tune a converted model of your own

Run both, in this order, whenever the starter's weights are others, after `convert_starter.py`.
Tuning looks at images of training seeds only; held-out images and scikit-image's coins are for
`--evaluate`. The score is F1 at IoU 0.5 of the labels, on average over images. Candidates are kept
in `--folder`, so that a run that was cut off goes on where it was. What is found is written into
`model.json`, which says how every object of an image is best found with the model. Runs in the
environment that ``scripts/test.py`` makes.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from napari_sam2_openvino import load_model
from napari_sam2_openvino.core.all_objects import default_parameters
from napari_sam2_openvino.core.candidate_filter import CandidateSieve
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.model_folder import write_model_info
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.object_parameters import (
    AllObjectsParameters,
    CandidateFilter,
    LabelsParameters,
)
from napari_sam2_openvino.core.parameters import GeneratorParameters
from starter.held_out import DIFFICULTIES
from starter.objects import (
    Example,
    coins,
    held_out_examples,
    judge,
    run_search,
    stored_candidates,
    summarize,
    training_examples,
    tune,
)

START = AllObjectsParameters(
    filter=CandidateFilter(0.3, 0.7, box_nms_thresh=0.4, max_overlap=0.6, remove_background=True),
    labels=LabelsParameters(min_visible=0.4),
)


def main() -> int:
    """Tune or judge a model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=STARTER, help="name or folder")
    parser.add_argument("--evaluate", action="store_true", help="judge instead of tuning")
    parser.add_argument("--images-per-kind", type=int, default=2, help="of each difficulty")
    parser.add_argument("--points-per-side", type=int, default=32)
    parser.add_argument("--folder", type=Path, default=Path("runs/objects"), help="candidates")
    parser.add_argument("--dry", action="store_true", help="do not write model.json")
    options = parser.parse_args()
    model = load_model(options.model)
    if options.evaluate:
        evaluate(model, options.images_per_kind)
        return 0
    start = replace(START, generator=GeneratorParameters(points_per_side=options.points_per_side))
    examples = []
    for example in training_examples(options.images_per_kind):
        found = stored_candidates(model, example, start.generator, options.folder)
        examples.append((example, CandidateSieve(found)))
        print(f"{example.name}: {len(found)} candidates", file=sys.stderr, flush=True)
    best = tune(examples, start, lambda text: print(text, flush=True))
    print(best.filter, best.labels, sep="\n")
    if not options.dry:
        write_model_info(model.folder, replace(model.info, all_objects=best))
        print(f"{model.folder / 'model.json'} is written")
    return 0


def evaluate(model: Sam2Model, images_per_kind: int) -> None:
    """Print figures on images that neither training nor tuning has seen, as a table."""
    groups: dict[str, Iterable[Example]] = {
        f"held-out, {name}": held_out_examples(name, images_per_kind) for name in DIFFICULTIES
    }
    groups["coins"] = [coins()]
    print("| images | objects | F1 | F1 by image | mean matched IoU | precision | recall |")
    print("|---|---|---|---|---|---|---|")
    parameters = default_parameters(model)
    for name, examples in groups.items():
        judgements = []
        for example in examples:
            found = run_search(model, example.image, parameters)
            labels = labels_from_candidates(found, parameters.labels).labels
            judgements.append(judge(labels, example))
        figures = summarize(judgements)
        cells = [f"{figures.pop('objects'):.0f}", *(f"{value:.3f}" for value in figures.values())]
        print(f"| {name} ({len(judgements)}) | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
