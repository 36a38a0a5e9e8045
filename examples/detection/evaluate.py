"""Boxes from the answers of a detector, and their average precision by pycocotools."""

import io
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.special import expit

from .anchors import decode, suppress
from .recipe import Answers, Data
from .scenes import CLASSES, SIDE

# A digit is small up to this area in pixels: about half of them are.
SMALL = 20**2
# As in COCO, no more boxes of a scene are judged. Before suppression no more of a class are looked
# at.
MOST, CANDIDATES = 100, 20


class Scores(NamedTuple):
    """Average precision: the mean over overlaps from 0.5 to 0.95, at 0.5, and of small digits."""

    ap: float
    ap50: float
    small: float


class Detections(NamedTuple):
    """The boxes of one scene, by falling score."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def detections(answers: Answers) -> list[Detections]:
    return [_of_scene(*each) for each in zip(*answers, strict=True)]


def _of_scene(logits: np.ndarray, answers: np.ndarray) -> Detections:
    scores, boxes = expit(np.float64(logits)), decode(answers)
    parts = [_of_class(label, scores[:, label], boxes) for label in range(CLASSES)]
    together = Detections(*map(np.concatenate, zip(*parts, strict=True)))
    order = np.argsort(-together.scores, kind="stable")[:MOST]
    return Detections(*(column[order] for column in together))


def _of_class(label: int, scores: np.ndarray, boxes: np.ndarray) -> Detections:
    best = np.argsort(-scores, kind="stable")[:CANDIDATES]
    kept = best[suppress(boxes[best], scores[best])]
    return Detections(boxes[kept], np.full(len(kept), label), scores[kept])


def scores(data: Data, scenes: list[Detections]) -> Scores:
    areas: list[list[float]] = [[0, SIDE**2], [0, SMALL], [SMALL, SIDE**2], [SMALL, SIDE**2]]
    # pycocotools prints what it does.
    with redirect_stdout(io.StringIO()):
        truth = _truth(data)
        judge = COCOeval(truth, truth.loadRes(_rows(scenes)), "bbox")
        judge.params.areaRng = areas
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return Scores(*(float(judge.stats[i]) for i in (0, 1, 3)))


def _truth(data: Data) -> COCO:
    images = [{"id": i, "width": SIDE, "height": SIDE} for i in range(len(data.images))]
    dataset: Any = {"info": {}, "images": images, "annotations": _annotations(data)}
    dataset["categories"] = [{"id": label} for label in range(CLASSES)]
    truth = COCO()
    truth.dataset = dataset
    truth.createIndex()
    return truth


def _annotations(data: Data) -> list[dict[str, Any]]:
    annotations = []
    scenes = zip(data.scenes.boxes, data.scenes.labels, strict=True)
    for image, (boxes, labels) in enumerate(scenes):
        for box, label in zip(boxes, labels, strict=True):
            area = float((box[2:] - box[:2]).prod())
            more = {"id": len(annotations) + 1, "iscrowd": 0, "area": area}
            annotations.append(_row(image, box, label) | more)
    return annotations


def _rows(scenes: list[Detections]) -> Any:
    rows = []
    for image, one in enumerate(scenes):
        for box, label, score in zip(*one, strict=True):
            rows.append(_row(image, box, label) | {"score": float(score)})
    return rows


def _row(image: int, box: np.ndarray, label: int) -> dict[str, Any]:
    corner, size = box[:2], box[2:] - box[:2]
    sides = [*corner.tolist(), *size.tolist()]
    return {"image_id": image, "category_id": int(label), "bbox": sides}
