"""Boxes from the answers of a detector, and their average precision by pycocotools."""

import io
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.special import expit

from .anchors import decode, suppress
from .recipe import Data, Run
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


class Found(NamedTuple):
    """The boxes of one scene, by falling score."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def found(run: Run) -> list[Found]:
    return [
        _found(expit(np.float64(logits)), decode(boxes))
        for logits, boxes in zip(run.logits, run.boxes, strict=True)
    ]


def _found(scores: np.ndarray, boxes: np.ndarray) -> Found:
    parts = [_of_class(label, scores[:, label], boxes) for label in range(CLASSES)]
    together = Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = np.argsort(-together.scores, kind="stable")[:MOST]
    return Found(*(column[order] for column in together))


def _of_class(label: int, scores: np.ndarray, boxes: np.ndarray) -> Found:
    best = np.argsort(-scores, kind="stable")[:CANDIDATES]
    kept = best[suppress(boxes[best], scores[best])]
    return Found(boxes[kept], np.full(len(kept), label), scores[kept])


def scores(data: Data, detections: list[Found]) -> Scores:
    with redirect_stdout(io.StringIO()):
        truth, rows = _truth(data), _rows(detections)
        judge = COCOeval(truth, truth.loadRes(rows), "bbox")
        judge.params.areaRng = [[0, SIDE**2], [0, SMALL], [SMALL, SIDE**2], [SMALL, SIDE**2]]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return Scores(*(float(judge.stats[i]) for i in (0, 1, 3)))


def _truth(data: Data) -> COCO:
    images = [{"id": i, "width": SIDE, "height": SIDE} for i in range(len(data.images))]
    pairs = [
        (image, box, label)
        for image, (boxes, labels) in enumerate(
            zip(data.scenes.boxes, data.scenes.labels, strict=True)
        )
        for box, label in zip(boxes, labels, strict=True)
    ]
    annotations = [
        _row(image, box, label)
        | {"id": i + 1, "iscrowd": 0, "area": float((box[2:] - box[:2]).prod())}
        for i, (image, box, label) in enumerate(pairs)
    ]
    truth = COCO()
    dataset: Any = {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": label} for label in range(CLASSES)],
    }
    truth.dataset = dataset
    truth.createIndex()
    return truth


def _rows(detections: list[Found]) -> Any:
    return [
        _row(image, box, label) | {"score": float(score)}
        for image, one in enumerate(detections)
        for box, label, score in zip(*one, strict=True)
    ]


def _row(image: int, box: np.ndarray, label: int) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": int(label),
        "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
    }
