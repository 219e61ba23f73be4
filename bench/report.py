"""The results as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from statistics import median

from bench.measure import Sample
from bench.workloads import WORKLOADS

WALK, RULES = "walk", "rules"  # among the builders of a result: a plain walk of the context, and its ignore rules

Results = Mapping[str, Mapping[str, Sequence[Sample]]]


def as_json(results: Results, absent: Mapping[str, str]) -> str:
    """{machine, absent: {builder: why}, results: {workload: {builder: {seconds: [...], memory: [...]}}}}."""
    samples = {
        workload: {
            name: {"seconds": [s.seconds for s in found], "memory": [s.memory for s in found]}
            for name, found in builders.items()
        }
        for workload, builders in results.items()
    }
    machine = {"kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count()}
    return json.dumps({"machine": machine, "absent": dict(absent), "results": samples}, indent=1) + "\n"


def as_text(results: Results, names: Sequence[str], absent: Mapping[str, str]) -> str:
    """Median seconds, ratio to the reference (buildah, else the first builder) and peak memory, side by side."""
    reference = "buildah" if "buildah" in names else names[0]
    rows = [["workload", *names, "mark"]]
    for key, builders in results.items():
        unit = median(s.seconds for s in builders[reference]) if builders.get(reference) else None
        mark = WORKLOADS[key].mark
        rows.append(
            [WORKLOADS[key].title, *(_cell(builders.get(n, ()), unit) for n in names), f"{mark:.2f}" if mark else ""]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [
        f"{WORKLOADS[key].title}: {_beside_walk(builders)}" for key, builders in results.items() if WALK in builders
    ]
    lines += [f"{name}: left out, {why}" for name, why in absent.items()]
    return "\n".join((f"median seconds, ratio to {reference}, peak memory of the largest process", *lines)) + "\n"


def _beside_walk(builders: Mapping[str, Sequence[Sample]]) -> str:
    walked, judged = (median(s.seconds for s in builders[part]) for part in (WALK, RULES))
    return (
        f"the ignore rules take {judged:.3f} s of the processor, "
        f"{judged / walked:.2f} of a plain walk of the files ({walked:.3f} s)"
    )


def _cell(samples: Sequence[Sample], unit: float | None) -> str:
    if not samples:
        return "failed"
    seconds = median(s.seconds for s in samples)
    ratio = f" {seconds / unit:5.2f}x" if unit else ""
    return f"{seconds:7.2f} s{ratio} {max(s.memory for s in samples) / 1e6:5.0f} MB"
