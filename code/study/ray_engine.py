"""Cells as tasks of a Ray cluster, whose nodes share the results folder, the code and the data."""

import logging
from concurrent.futures import Future
from pathlib import Path

from basics.errors import UserError
from study.cells import CODE, Cell, Ending, Records
from study.running import Processes, run_cell

_INSTALL = "pip install 'ray>=2.40'"
_RETRIES = 3  # of a task whose worker was killed or whose node was lost


class OnRay:
    """Cells as Ray tasks.

    address: of a cluster that runs already; None starts one on this machine.
    gpus: GPUs per cell; None: one where the cluster has some, else none. cpus: processors per cell.
    Raises UserError when Ray is not installed, the cluster does not answer, or no node has what
    a cell asks for (for which Ray would wait for ever).
    """

    def __init__(
        self, records: Records, address: str | None, gpus: float | None, cpus: float
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError(f"--engine ray needs Ray: {_INSTALL}") from error
        self.ray, self.records = ray, records
        try:
            ray.init(
                address=address, log_to_driver=False, logging_level=logging.ERROR,
                runtime_env={"env_vars": {"PYTHONPATH": str(CODE)}},
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"the Ray cluster {address or 'on this machine'} does not answer "
                f"({str(error).splitlines()[0]}): start one with ray start --head"
            ) from error
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most_gpus = max(node.get("GPU", 0) for node in nodes)
        self.gpus = min(1, most_gpus) if gpus is None else gpus
        for what, wanted, key in (("GPU", self.gpus, "GPU"), ("processor", cpus, "CPU")):
            if wanted > max(node.get(key, 0) for node in nodes):
                self.close()
                raise UserError(
                    f"no node of the Ray cluster has {wanted:g} {what}(s) for a cell: ask for less "
                    f"with --{'gpus' if key == 'GPU' else 'cpus'}_per_cell, or add a node"
                )
        self.task = ray.remote(
            num_gpus=self.gpus, num_cpus=cpus, max_retries=_RETRIES, retry_exceptions=False
        )(_task)

    def submit(self, cell: Cell) -> "Future[Ending]":
        """Return the ending to come."""
        return self.task.remote(cell.command[1:], self.records.log(cell)).future()

    def close(self) -> None:
        """Leave the cluster, which ends this study's tasks; they keep what they have."""
        self.ray.shutdown()


def _task(script: list[str], log: Path) -> Ending:
    return run_cell(script, log, Processes())
