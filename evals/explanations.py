"""The model's own reasons: how many pass every check before any fallback, how varied they are, how much is repeated from training.

`python -m vouchrec.evals.explanations [--workspace DIR] [--model M] [--adapter A] [--reasons 500] [--out FILE]`

Protocol: recommendations are sampled from the workspace with seed 1: for items to be like, half of them with a wish for a value,
and for people's histories where there are interactions. Each plan is worded as in serving (4 samples, the likeliest that passes).
Reported, with 95% bootstrap intervals over recommendations where they are shares:

- verified: recommendations whose reason is the model's own and verified, and the same of single samples; causes of failure
- distinct-2: distinct pairs of words over all pairs, of the shown reasons in reference form (Li et al., NAACL 2016)
- self-BLEU-4: mean BLEU of a reason against the others, a sample of them (Zhu et al., SIGIR 2018); lower is more varied
- repeated: reasons that have eight words in a row in common with an authored training reason, references as words

Distinct-2 and self-BLEU of as many authored reasons stand beside them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from vouchrec.agent.assemble import BUILTIN_MODEL, Agent, open_model
from vouchrec.agent.explain import CANDIDATES, MAX_TOKENS, TEMPERATURE, choose
from vouchrec.agent.llm.base import Completion
from vouchrec.agent.plan import Plan, plan_reason
from vouchrec.agent.prompts import reason_prompt
from vouchrec.evals.intervals import bootstrap
from vouchrec.retrieval.build import open_builtin
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.pipeline import recommend
from vouchrec.retrieval.types import Constraint, ItemId, Profile, Query, Recommendation
from vouchrec.retrieval.workspace import Workspace

AUTHORED = Path(__file__).parent.parent / "finetune" / "data"
"""Training reasons, one JSON object with `reason` a line."""
PER_LIST = 5
BATCH = 8
COMPARED = 200
"""Reasons that each reason is compared with for self-BLEU."""
RUN = 8
_WORD = re.compile(r"\[\[[^\]]*\]\]|\w+(?:['’]\w+)?")


@dataclass(frozen=True, slots=True)
class Worded:
    """What the model made of one plan.

    Attributes:
        text: Its likeliest wording that passes, in reference form; empty when none does.
        passed: For each sample, whether it passes.
        failure: Why the reason would be composed; empty when it is the model's.
    """

    text: str
    passed: tuple[bool, ...]
    failure: str


def word_plans(agent: Agent, sampled: Sequence[tuple[Recommendation, Plan]], *, progress: bool = True) -> list[Worded]:
    """Word every plan as serving does, in batches."""
    found: list[Worded] = []
    for start in tqdm(range(0, len(sampled), BATCH), desc="reasons", disable=None if progress else True, leave=False):
        part = sampled[start : start + BATCH]
        prompts = [reason_prompt(plan.entries, specialist=agent.model.specialist) for _, plan in part]
        answers = agent.model.complete(
            prompts, n=CANDIDATES, max_tokens=MAX_TOKENS, temperature=TEMPERATURE, seed=start
        )
        found += [_worded(agent, r, plan, own) for (r, plan), own in zip(part, answers, strict=True)]
    return found


def _worded(agent: Agent, recommendation: Recommendation, plan: Plan, samples: list[Completion]) -> Worded:
    ranked = sorted(samples, key=lambda c: -c.logprob)
    reasons = [choose(agent, recommendation, plan, [sample]) for sample in ranked]
    passed = tuple(r.source == "model" and r.verified for r in reasons)
    best = next((s.text for s, ok in zip(ranked, passed, strict=True) if ok), "")
    return Worded(best, passed, "" if best else (reasons[-1].fallback if reasons else "reason:empty"))


def sample_plans(workspace: Workspace, count: int, *, seed: int) -> list[tuple[Recommendation, Plan]]:
    """Draw recommendations with their plans."""
    rng = random.Random(seed)
    histories = _histories(workspace)
    found: list[tuple[Recommendation, Plan]] = []
    for _ in range(count):
        query, profile = _question(workspace, histories, rng)
        for recommendation in recommend(workspace, query, profile):
            plan = plan_reason(recommendation, query, workspace.domain)
            if plan.entries:
                found.append((recommendation, plan))
        if len(found) >= count:
            break
    return found[:count]


def _histories(workspace: Workspace) -> list[list[ItemId]]:
    own: dict[str, list[ItemId]] = {}
    for event in workspace.store.interactions():
        own.setdefault(event.user, []).append(event.item)
    return [own[user] for user in sorted(own)]


def _question(workspace: Workspace, histories: Sequence[Sequence[ItemId]], rng: random.Random) -> tuple[Query, Profile]:
    item = rng.choice(workspace.catalogue.items)
    attributes = [a for a in workspace.domain.attributes if a.filterable and a.kind == "list" and item.values(a.name)]
    constraints: tuple[Constraint, ...] = ()
    if attributes and rng.random() < 0.5:
        attribute = rng.choice(attributes)
        strength = "hard" if attribute.strict else "soft"
        constraints = (Constraint(attribute.name, "is", rng.choice(item.values(attribute.name)), strength),)
    if histories and rng.random() < 0.6:
        history = rng.choice(histories)
        return Query("", constraints, n=PER_LIST), Profile(dict.fromkeys(history[-rng.choice((1, 2, 4, 8)) :], 1.0))
    return Query("", constraints, similar_to=(rng.choice(workspace.catalogue.items).id,), n=PER_LIST), Profile()


# ---- measures ---------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    """Return the words of a reason in reference form; a reference is one word, whatever it refers to."""
    return [re.sub(r"\.\w+\]\]$", ".value]]", w).casefold() for w in _WORD.findall(text)]


def distinct(texts: Sequence[str], n: int = 2) -> float:
    """Return the part of all n-grams that are distinct, in [0, 1]; NaN without any.

    Source: Li et al., "A Diversity-Promoting Objective Function for Neural Conversation Models", NAACL 2016.
    """
    grams = [gram for text in texts for gram in ngrams(words(text), n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def ngrams(tokens: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """Yield the runs of n tokens."""
    return (tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def self_bleu(texts: Sequence[str], *, n: int = 4, seed: int = 1) -> float:
    """Return the mean BLEU-n of each text against others, in [0, 1]; 1 when all are alike, NaN below two texts.

    Source: Zhu et al., "Texygen", SIGIR 2018; BLEU: Papineni et al., ACL 2002, smoothed by adding one above unigrams
    (Lin & Och, COLING 2004).
    """
    if len(texts) < 2:
        return math.nan
    rng = random.Random(seed)
    tokens = [words(t) for t in texts]
    total = 0.0
    for i, own in enumerate(tokens):
        others = [j for j in range(len(tokens)) if j != i]
        picked = rng.sample(others, min(COMPARED, len(others)))
        total += _bleu(own, [tokens[j] for j in picked], n)
    return total / len(tokens)


def _bleu(own: Sequence[str], references: Sequence[Sequence[str]], n: int) -> float:
    if not own:
        return 0.0
    logs = 0.0
    for size in range(1, n + 1):
        counts = Counter(ngrams(own, size))
        most: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            most |= Counter(ngrams(reference, size))
        matched = sum(min(count, most[gram]) for gram, count in counts.items())
        smooth = 0 if size == 1 else 1
        precision = (matched + smooth) / max(1, sum(counts.values()) + smooth)
        if precision == 0:
            return 0.0
        logs += math.log(precision) / n
    nearest = min((len(r) for r in references), key=lambda length: (abs(length - len(own)), length))
    return math.exp(logs + min(0.0, 1 - nearest / len(own)))


def repeated(texts: Sequence[str], training: Sequence[str], n: int = RUN) -> list[float]:
    """Return, for each text, 1 when it has n words in a row in common with a training text, else 0."""
    known = {gram for text in training for gram in ngrams(words(text), n)}
    return [float(any(gram in known for gram in ngrams(words(text), n))) for text in texts]


def read_training(folder: Path = AUTHORED) -> list[str]:
    """Return the authored training reasons in reference form."""
    return [
        str(json.loads(line)["reason"])
        for path in sorted(folder.glob("reasons_*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


def run(
    agent: Agent, *, reasons: int = 500, training: Sequence[str] | None = None, progress: bool = True
) -> dict[str, object]:
    """Evaluate the wordings of an agent's model on its workspace.

    Args:
        reasons: Recommendations to word.
        training: Training reasons in reference form; the authored ones when None.

    Raises:
        ConfigError: The workspace gives no plan to word.
        ModelError: The model failed.
    """
    known = read_training() if training is None else list(training)
    sampled = sample_plans(agent.workspace, reasons, seed=1)
    if not sampled:
        raise ConfigError("There is no reason to word.", hint="The items need attributes that can be named.")
    worded = word_plans(agent, sampled, progress=progress)
    shown = [w.text for w in worded if w.text]
    authored = random.Random(1).sample(known, min(len(shown), len(known)))
    return {
        "model": agent.model.name,
        "recommendations": len(worded),
        "verified": _share([float(bool(w.text)) for w in worded]),
        "verified of single samples": _share([sum(w.passed) / max(1, len(w.passed)) for w in worded]),
        "fallbacks": dict(Counter(w.failure for w in worded if w.failure).most_common()),
        "distinct-2": {"model": _rounded(distinct(shown)), "authored": _rounded(distinct(authored))},
        "self-BLEU-4": {"model": _rounded(self_bleu(shown)), "authored": _rounded(self_bleu(authored))},
        "repeated from training": _share(repeated(shown, known)) if shown else None,
    }


def _share(values: Sequence[float]) -> list[float]:
    found = bootstrap(values, seed=1)
    return [round(v, 4) for v in (found.value, found.low, found.high)]


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def main() -> None:
    """Evaluate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, help="folder of a workspace (default: the built-in demo, made anew)")
    parser.add_argument("--model", default=BUILTIN_MODEL, help="builtin, a folder or a Hugging Face name")
    parser.add_argument("--adapter", type=Path, help="a LoRA adapter for it")
    parser.add_argument("--reasons", type=int, default=500)
    parser.add_argument("--out", type=Path, help="also write the report there, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(options.workspace) if options.workspace else open_builtin(Path(folder) / "demo")
        try:
            agent = Agent(workspace, open_model(options.model, adapter=options.adapter))
            report = run(agent, reasons=options.reasons)
        finally:
            workspace.close()
    text = json.dumps(report, indent=1)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
