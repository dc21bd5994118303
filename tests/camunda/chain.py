"""A process of service tasks in a row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def chain(process: str, job_types: Sequence[str]) -> str:
    """The BPMN of a process with one service task for each of `job_types`."""
    nodes = ["start", *(f"task-{number}" for number in range(len(job_types))), "end"]
    tasks = "".join(
        f'<bpmn:serviceTask id="{node}"><bpmn:extensionElements><zeebe:taskDefinition type="{job_type}"/>'
        "</bpmn:extensionElements></bpmn:serviceTask>"
        for node, job_type in zip(nodes[1:-1], job_types, strict=True)
    )
    flows = "".join(
        f'<bpmn:sequenceFlow id="to-{there}" sourceRef="{here}" targetRef="{there}"/>'
        for here, there in pairwise(nodes)
    )
    return (
        '<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" '
        'xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="definitions" targetNamespace="urn:jobfleet:tests">'
        f'<bpmn:process id="{process}" isExecutable="true"><bpmn:startEvent id="start"/>{tasks}'
        f'<bpmn:endEvent id="end"/>{flows}</bpmn:process></bpmn:definitions>'
    )
