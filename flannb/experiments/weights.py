"""A search for mixture weights, which the paper leaves open: runs of a design, a regression on them, the weights that
it proposes, and a model of these beside one of the paper's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from flannb.build import open_source
from flannb.collection import SUITES
from flannb.errors import UserError
from flannb.evaluate import suite_score
from flannb.experiments.artefacts import WEIGHTS, Artefact
from flannb.experiments.reproduce import REPORT_CODE, Options, artefact_steps
from flannb.experiments.step import Step
from flannb.experiments.steps import built, predictions_of, setup_of
from flannb.mixture import mixture, shard_weights, submixture_shares
from flannb.search import CHOOSING, PAPER, PROPOSAL_JSON, PROPOSED, Search, half, search, together

SEARCH_CODE = ("search", "evaluate", "mixture", "collection", "files.py", "experiments/weights.py")


def propose_step(
    folder: str, data: str, mixtures: Mapping[str, str], evaluations: Mapping[str, Sequence[str]], seed: int
) -> Search:
    """Proposes mixture weights by the scores of runs on one half of the evaluation rows.

    Args:
        folder: gets ``proposal.json`` (see ``flannb.search.Search``).
        data: folder of ``build_step``, whose shards say which submixtures there are.
        mixtures: row -> its mixture.
        evaluations: row -> folders of ``evaluate_step``, one for each model trained of the row.
        seed: of the halves.

    Raises:
        UserError: as ``flannb.search.search``, or there are no predictions.
    """
    shards = built(data).shards
    shares = pd.DataFrame(
        {row: submixture_shares(shard_weights(shards, mixture(mixtures[row]))) for row in evaluations}
    )
    scores = {
        row: {name: suite_score(rows, seed).score for name, rows in together(half(frame, CHOOSING, seed)).items()}
        for row, frame in predictions_of(evaluations).items()
    }
    found = search(shares.fillna(0.0).T, pd.DataFrame(scores).T.reindex(columns=list(SUITES)).dropna(axis=1))
    found.write(Path(folder))
    return found


def weights_step(
    folder: str,
    proposal: str,
    evaluations: Mapping[str, Sequence[str]],
    models: Mapping[str, str],
    source: str,
    scale: str,
    seed: int,
) -> list[Path]:
    """Writes the report on a search, with the comparison on the other half of the evaluation rows.

    Args:
        folder: of the report.
        proposal: folder of ``propose_step``.
        evaluations: as there, and of the row ``proposal``.
        models: row -> folder of the first ``train_step``; the page of all reports leads there.
    """
    from flannb.report import layout
    from flannb.report.weights import write_weights

    own = {row.name: row.title for row in WEIGHTS.own_rows()}
    setup = replace(setup_of(open_source(source), scale, seed), layout=layout("weights").extended(own, ()))
    return write_weights(Path(folder), Search.read(Path(proposal)), predictions_of(evaluations), setup)


def weights_steps(artefact: Artefact, options: Options) -> list[Step]:
    """All steps of a search, each after the steps that it needs.

    The proposal is trained and scored as the paper's row is, as often and from the same seeds.

    Raises:
        UserError: ``--rows`` leaves out the paper's row; or as ``flannb.experiments.reproduce.artefact_steps``.
    """
    if options.rows and PAPER not in options.rows:
        raise UserError(f"--rows {','.join(options.rows)}: name {PAPER} too, with which the proposal is compared")
    *runs, report = artefact_steps(artefact, options)
    evaluations = report.parameters["evaluations"]
    trainings = {step.folder: step.needs[0] for step in report.needs}
    of_paper = [step for step in report.needs if step.folder in evaluations[PAPER]]
    home = Path(of_paper[0].folder).parents[1].as_posix()
    propose = Step(
        name=f"{artefact.name}/propose",
        folder=f"{home}/{PROPOSED}/weights",
        notebook="notebooks/40_propose_weights.ipynb",
        function="propose_step",
        parameters={
            "data": of_paper[0].parameters["data"],
            "mixtures": {row: trainings[folders[0]].parameters["mixture"] for row, folders in evaluations.items()},
            "evaluations": evaluations,
            "seed": options.seed,
        },
        code=SEARCH_CODE,
        needs=report.needs,
    )
    trained, scored = [], []
    for evaluate in of_paper:
        train = trainings[evaluate.folder]
        suffix = train.name.removeprefix(PAPER).removesuffix("/train")  # of a repeat
        own = f"{home}/{PROPOSED}{suffix}"
        trained.append(
            replace(
                train,
                name=f"{PROPOSED}{suffix}/train",
                folder=f"{own}/train",
                parameters={**train.parameters, "mixture": f"{propose.folder}/{PROPOSAL_JSON}"},
                needs=(*train.needs, propose),
            )
        )
        scored.append(
            replace(
                evaluate,
                name=f"{PROPOSED}{suffix}/evaluate",
                folder=f"{own}/{Path(evaluate.folder).name}",
                parameters={**evaluate.parameters, "model": f"{own}/train/model"},
                needs=(trained[-1],),
            )
        )
    report = replace(
        report,
        function="weights_step",
        parameters={
            "source": options.source,
            "scale": options.scale,
            "seed": options.seed,
            "proposal": propose.folder,
            "evaluations": {**evaluations, PROPOSED: [step.folder for step in scored]},
            "models": {**report.parameters["models"], PROPOSED: trained[0].folder},
        },
        code=(*REPORT_CODE, "search", "experiments/weights.py"),
        needs=(*report.needs, propose, *scored),
    )
    return [*runs, propose, *trained, *scored, report]
