"""Adapters for anyone's base: real training of tiny models of three architectures, and every way in which a run can end early."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BertConfig, BertForMaskedLM

from vouchrec.agent.assemble import open_agent
from vouchrec.agent.llm.base import Message
from vouchrec.agent.llm.local import LocalModel
from vouchrec.agent.turn import reply, start
from vouchrec.agent.types import Done
from vouchrec.finetune import checkpoints, loop
from vouchrec.finetune.adapt import finetune, read_dataset, write_dataset
from vouchrec.finetune.bases import inspect_base
from vouchrec.finetune.dataset import DataOptions, Dataset, build_dataset
from vouchrec.finetune.estimate import estimate, lines
from vouchrec.finetune.export import export
from vouchrec.finetune.loop import Loop, LoopConfig
from vouchrec.finetune.lora import LoraDials, target_modules
from vouchrec.finetune.rows import Schedule, collate, encode_all
from vouchrec.finetune.search import search
from vouchrec.finetune.settings import AdaptConfig
from vouchrec.finetune.tune import IGNORE
from vouchrec.retrieval.errors import ConfigError, ModelError
from vouchrec.retrieval.workspace import Workspace

from ..conftest import HashEmbedder  # noqa: TID252
from .small import KINDS, make_base, make_model, make_tokenizer, make_workspace

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning"),  # peft asks transformers
    pytest.mark.filterwarnings("ignore:.*pin_memory:UserWarning"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    embedder = HashEmbedder()
    opened = Workspace.open(make_workspace(tmp_path_factory.mktemp("books"), embedder), embedder=embedder)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def dataset(books: Workspace) -> Dataset:
    return build_dataset(books, DataOptions(count=40, validation=8))


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: make_base(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


def config(base: Path, out: Path, **loop: object) -> AdaptConfig:
    settings = {"max_steps": 6, "rate": 1e-2, "batch": 8, "micro_batch": 4, "evaluate_every": 3, "checkpoint_every": 2}
    return AdaptConfig(
        str(base), out, loop=LoopConfig(**(settings | loop)), dials=LoraDials(rank=4, dropout=0.1), command="vouch"
    )  # type: ignore[arg-type]


# ---- three architectures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_target_modules(kind: str) -> None:
    wanted = {
        "llama": ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"),
        "gpt2": ("c_attn", "c_fc", "c_proj"),
        "gpt_neox": ("dense", "dense_4h_to_h", "dense_h_to_4h", "query_key_value"),
    }
    assert target_modules(make_model(kind, 300)) == wanted[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_run_learns_reloads_merges_and_talks(
    kind: str, bases: dict[str, Path], dataset: Dataset, books: Workspace, tmp_path: Path
) -> None:
    found = finetune(config(bases[kind], tmp_path / "adapter", max_steps=10), lambda: dataset)
    assert set(found.losses) == {"understand", "reason", "rerank", "prefer"}
    assert all(after < before for before, after in found.losses.values()), found.losses
    names = {p.name for p in (tmp_path / "adapter").iterdir()}
    assert names == {
        "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "log.jsonl", "loss.png", "README.md",
        "training.json", "vouch.json",
    }  # fmt: skip
    assert not list((tmp_path / "adapter.work").glob("checkpoints/*"))

    ask, answers = dataset.validation[0].messages, ["Yes", "No thanks", "A"]
    tuned = LocalModel(str(bases[kind]), adapter=tmp_path / "adapter", dtype=torch.float32)
    wrapped = peft.PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(bases[kind], dtype=torch.float32), str(tmp_path / "adapter")
    ).eval()
    plain = LocalModel(str(bases[kind]), dtype=torch.float32)
    tokenizer = make_tokenizer()
    for answer, score in zip(answers, tuned.score(ask, answers), strict=True):
        assert score == pytest.approx(by_hand(wrapped, tokenizer, ask, answer), abs=1e-3)
    assert tuned.score(ask, answers) != pytest.approx(plain.score(ask, answers), abs=1e-2)

    export(str(bases[kind]), tmp_path / "adapter", tmp_path / "merged", merge=True)
    merged = LocalModel(str(tmp_path / "merged"), dtype=torch.float32)
    assert merged.specialist
    assert merged.score(ask, answers) == pytest.approx(tuned.score(ask, answers), abs=1e-3)

    agent = open_agent(books, model=str(bases[kind]), adapter=tmp_path / "adapter")
    events = list(reply(agent, start(agent), "something like Quiet Harbour, no war", n=2))
    assert isinstance(events[-1], Done)


def by_hand(model: torch.nn.Module, tokenizer, messages, answer: str) -> float:
    text = tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in messages], add_generation_prompt=True, tokenize=False
    )
    prompt = tokenizer.encode(text, add_special_tokens=False)
    ids = tokenizer.encode(answer, add_special_tokens=False)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
    return float(torch.log_softmax(logits, -1)[torch.arange(len(ids)), torch.tensor(ids)].sum())


def test_card_says_what_was_done(bases: dict[str, Path], dataset: Dataset, tmp_path: Path) -> None:
    finetune(config(bases["llama"], tmp_path / "adapter"), lambda: dataset)
    record = json.loads((tmp_path / "adapter" / "training.json").read_text())
    assert record["data"]["digest"] == dataset.digest()
    assert record["data"]["examples"]["rerank"] == list(dataset.counts()["rerank"])
    assert record["split"]["choices"]["order"] == "time"
    assert record["base_fingerprint"]
    assert record["modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    page = (tmp_path / "adapter" / "README.md").read_text()
    for part in ("## Data", "## Validation", "## Limits", dataset.digest(), "| rerank |"):
        assert part in page


# ---- rows ----------------------------------------------------------------------------------------------------------


def test_filling_up_on_the_left_changes_no_loss(bases: dict[str, Path], dataset: Dataset) -> None:
    tokenizer = inspect_base(str(bases["llama"])).tokenizer
    encoded = encode_all(tokenizer, dataset.train[:6], 1024)
    assert len({len(e.ids) for e in encoded}) > 1
    for kind in KINDS:
        model = AutoModelForCausalLM.from_pretrained(bases[kind], dtype=torch.float32).eval()
        with torch.inference_mode():
            together = float(loop.loss_sum(model, collate(encoded, 0)))
            alone = sum(float(loop.loss_sum(model, collate([e], 0))) for e in encoded)
            plain = 0.0
            for e in encoded:
                logits, labels = model(input_ids=torch.tensor([e.ids])).logits[0, :-1], torch.tensor(e.labels[1:])
                plain += e.weight * float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        assert together == pytest.approx(plain, rel=1e-4)
        assert alone == pytest.approx(plain, rel=1e-4)


def test_too_long_examples_are_left_out(bases: dict[str, Path], dataset: Dataset, tmp_path: Path) -> None:
    tokenizer = inspect_base(str(bases["llama"])).tokenizer
    encoded = encode_all(tokenizer, dataset.train, 200)
    assert 0 < len(encoded) < len(dataset.train)
    assert all(len(e.ids) <= 200 for e in encoded)
    with pytest.raises(ConfigError, match="at most 64 tokens"):
        finetune(replace(config(bases["llama"], tmp_path / "a"), length=64), lambda: dataset)


def test_schedule_reads_everything_once_an_epoch_and_shares_it_between_processes(dataset: Dataset) -> None:
    encoded = encode_all(make_tokenizer(), dataset.train[:48], 1024)
    alone = Schedule(encoded, micro=4, passes=2, seed=1)
    assert alone.steps_per_epoch == 6
    read = [id(e) for step in range(6) for group in alone.step(step) for e in group]
    assert sorted(read) == sorted(id(e) for e in encoded)
    shared = [
        id(e)
        for rank in range(2)
        for step in range(6)
        for group in Schedule(encoded, micro=4, passes=1, seed=1, world=2, rank=rank).step(step)
        for e in group
    ]
    assert sorted(shared) == sorted(read)
    assert [id(e) for g in alone.step(7) for e in g] == [id(e) for g in alone.step(7) for e in g]


def test_only_answers_are_learned(dataset: Dataset) -> None:
    tokenizer = make_tokenizer()
    for example in dataset.validation:
        (encoded,) = encode_all(tokenizer, [example], 4096)
        learned = [label for label in encoded.labels if label != IGNORE]
        assert tokenizer.decode(learned) == f"{example.answer}<|end|>"
        batch = collate([encoded], 0)
        assert batch.targets[0].tolist() == learned


THINKING = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}<think></think>{% endif %}{{ m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}{% endif %}"
)
STRIPPING = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think></think>{% endif %}"
)


@pytest.mark.parametrize("template", [THINKING, STRIPPING], ids=["keeps its thoughts", "drops them"])
def test_a_template_that_thinks_is_told_not_to(template: str, dataset: Dataset) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    (encoded,) = encode_all(tokenizer, dataset.train[:1], 4096)
    learned = [label for label in encoded.labels if label != IGNORE]
    assert tokenizer.decode(learned) == f"{dataset.train[0].answer}<|end|>"
    assert tokenizer.decode(encoded.ids[: -len(learned)]).endswith("<|assistant|><think></think>")


# ---- interrupted ---------------------------------------------------------------------------------------------------


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException) -> list[int]:
    done: list[int] = []
    real = Loop.train_step

    def stopping(self: Loop) -> float:
        if self.progress.step == step:
            raise error
        done.append(self.progress.step)
        return real(self)

    monkeypatch.setattr(Loop, "train_step", stopping)
    return done


def test_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(
    bases: dict[str, Path], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune(config(bases["llama"], tmp_path / "whole"), lambda: dataset)
    interrupted = config(bases["llama"], tmp_path / "parts")
    with monkeypatch.context() as patch:
        stop_at(patch, 5, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            finetune(interrupted, lambda: dataset)
    assert not (tmp_path / "parts").exists()
    half = tmp_path / "parts.work" / "checkpoints" / ".step-0000009.part"
    half.mkdir()
    (half / "tensors.safetensors").write_bytes(b"half")
    with monkeypatch.context() as patch:
        done = stop_at(patch, 99, KeyboardInterrupt())
        finetune(interrupted, lambda: dataset)
    assert done == [4, 5]  # one step of the interval of two was lost
    one, two = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "parts"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name])
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    steps = [[(e["step"], e["loss"]) for e in map(json.loads, lines)] for lines in logs]
    assert steps[0] == steps[1]


def test_early_stop_keeps_the_best(
    bases: dict[str, Path], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, weights = [5.0, 4.0, 3.0, 3.5, 3.1, 3.0], list[dict[str, torch.Tensor]]()

    def scripted(self: Loop) -> dict[str, float]:
        weights.append({name: p.detach().clone() for name, p in self.trained.items()})
        return {"reason": losses[len(weights) - 1]}

    monkeypatch.setattr(Loop, "evaluate", scripted)
    found = finetune(
        config(bases["llama"], tmp_path / "a", max_steps=40, evaluate_every=1, patience=3), lambda: dataset
    )
    assert (found.steps, found.best_step, found.losses) == (5, 2, {"reason": (5.0, 3.0)})
    saved = load_file(tmp_path / "a" / "adapter_model.safetensors")
    for name, tensor in saved.items():
        kept = weights[2][name.replace(".weight", ".default.weight")]
        torch.testing.assert_close(tensor, kept)
        assert not torch.equal(tensor, weights[5][name.replace(".weight", ".default.weight")])


def test_other_settings_do_not_go_on(
    bases: dict[str, Path], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 3, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            finetune(config(bases["llama"], tmp_path / "a"), lambda: dataset)
    with pytest.raises(ConfigError, match="another loop"):
        finetune(config(bases["llama"], tmp_path / "a", rate=1e-3), lambda: dataset)
    with pytest.raises(ConfigError, match="another data"):
        finetune(config(bases["llama"], tmp_path / "a"), lambda: replace(dataset, train=dataset.train[:50]))
    anew = replace(config(bases["llama"], tmp_path / "a", rate=1e-3, max_steps=2), restart=True)
    assert finetune(anew, lambda: dataset).steps == 2


def test_finished_adapter_is_not_overwritten(bases: dict[str, Path], dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "adapter_config.json").write_text("{}")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("mine")
    (tmp_path / "c").write_text("a file")
    for name, problem in (("a", "already holds"), ("b", "not empty"), ("c", "is a file")):
        with pytest.raises(ConfigError, match=problem):
            finetune(config(bases["llama"], tmp_path / name), lambda: dataset)
    assert (tmp_path / "b" / "thesis.tex").read_text() == "mine"


# ---- what can go wrong ---------------------------------------------------------------------------------------------


def test_full_disk_before_and_during(
    bases: dict[str, Path], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(bases["llama"], tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        with pytest.raises(ConfigError, match="free; the run writes about"):
            finetune(settings, lambda: dataset)
    save, calls = checkpoints.save_file, []

    def full(tensors: object, path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half")
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        save(tensors, path)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", full)
        with pytest.raises(ConfigError, match="is full"):
            finetune(settings, lambda: dataset)
    assert not (tmp_path / "a").exists()
    newest = checkpoints.newest(tmp_path / "a.work" / "checkpoints")
    assert newest is not None
    assert newest.name == "step-0000002"
    assert finetune(settings, lambda: dataset).steps == 6


def test_out_of_memory_names_three_settings(
    bases: dict[str, Path], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(monkeypatch, 1, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    with pytest.raises(ConfigError) as caught:
        finetune(config(bases["llama"], tmp_path / "a"), lambda: dataset)
    for flag in ("--micro-batch (now 4)", "--length (now 1024)", "--rank (now 4)"):
        assert flag in str(caught.value)


def test_bases_that_cannot_be_adapted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        inspect_base(str(tmp_path / "none"))
    encoder = tmp_path / "bert"
    BertForMaskedLM(
        BertConfig(vocab_size=300, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(str(encoder))
    with pytest.raises(ConfigError, match="BertForMaskedLM, which does not write"):
        inspect_base(str(encoder))
    bare = tmp_path / "bare"
    make_model("llama", 300).save_pretrained(str(bare))
    with pytest.raises(ConfigError, match="no tokenizer"):
        inspect_base(str(bare))
    endless = make_tokenizer(template=False)
    endless.eos_token = None
    endless.save_pretrained(str(bare))
    with pytest.raises(ConfigError, match="neither a chat template nor an end token"):
        inspect_base(str(bare))

    def gated(*_arguments: object) -> None:
        raise OSError("You are trying to access a gated repo.\nMake sure to have access to it at https://...")

    monkeypatch.setattr("vouchrec.finetune.bases.AutoConfig.from_pretrained", gated)
    with pytest.raises(ConfigError, match="is gated") as caught:
        inspect_base("meta-llama/Llama-3.2-1B")
    assert "licence" in str(caught.value)


def test_base_without_a_chat_template_gets_a_plain_one_that_serving_finds(dataset: Dataset, tmp_path: Path) -> None:
    base = make_base(tmp_path / "plain", "gpt2", template=False)
    assert inspect_base(str(base)).template
    finetune(config(base, tmp_path / "a", max_steps=2), lambda: dataset)
    with pytest.raises(ModelError, match="no chat template"):
        LocalModel(str(base))
    model = LocalModel(str(base), adapter=tmp_path / "a", dtype=torch.float32)
    assert len(model.complete([[Message("user", "hello")]], n=2, max_tokens=3)[0]) == 2
    assert "plain, since the base has none" in (tmp_path / "a" / "README.md").read_text()


def test_adapter_of_other_weights_of_the_same_shape(bases: dict[str, Path], dataset: Dataset, tmp_path: Path) -> None:
    finetune(config(bases["llama"], tmp_path / "a", max_steps=2), lambda: dataset)
    other = tmp_path / "other"
    model = AutoModelForCausalLM.from_pretrained(bases["llama"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    model.save_pretrained(str(other))
    make_tokenizer().save_pretrained(str(other))
    with pytest.raises(ModelError, match="trained on other weights"):
        LocalModel(str(other), adapter=tmp_path / "a")
    with pytest.raises(ConfigError, match="trained on other weights"):
        export(str(other), tmp_path / "a", tmp_path / "m", merge=True)
    with pytest.raises(ConfigError, match="not a LoRA adapter"):
        export(str(bases["llama"]), tmp_path, tmp_path / "m", merge=False)
    assert not (tmp_path / "m").exists()
    copied = shutil.copytree(bases["llama"], tmp_path / "elsewhere")
    assert LocalModel(str(copied), adapter=tmp_path / "a").specialist


def test_lora_folder_for_a_server(bases: dict[str, Path], dataset: Dataset, tmp_path: Path) -> None:
    finetune(config(bases["gpt_neox"], tmp_path / "a", max_steps=2), lambda: dataset)
    export(str(bases["gpt_neox"]), tmp_path / "a", tmp_path / "lora", merge=False)
    settings = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    assert settings["r"] == 4
    assert not settings["modules_to_save"]
    assert all("lora_" in name for name in load_file(tmp_path / "lora" / "adapter_model.safetensors"))
    assert (tmp_path / "lora" / "tokenizer.json").is_file()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(ConfigError, match="not empty"):
        export(str(bases["gpt_neox"]), tmp_path / "a", tmp_path / "full", merge=False)


# ---- estimates and search ------------------------------------------------------------------------------------------


def test_estimate_of_a_large_config_without_weights(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "qwen"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 2048,
                "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
                "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True,
            }
        )
    )  # fmt: skip
    base = inspect_base(str(folder), borrow=True)
    settings = AdaptConfig(str(folder), tmp_path / "a", dials=LoraDials(rank=16))
    found = estimate(settings, base, dataset)
    assert found.parameters == 1_720_574_976  # Qwen3-1.7B
    assert found.trained == 17_432_576
    assert 3.4e9 < found.weights < 6.9e9  # 2 or 4 bytes each
    assert found.weights < found.memory < 16e9
    assert found.seconds > 60
    text = "\n".join(lines(found, base, dataset, settings))
    for part in ("task: rerank", "1,720.6M in the base", "counted with the built-in one", "memory", "time"):
        assert part in text
    with pytest.raises(ConfigError, match="no tokenizer"):
        inspect_base(str(folder))


def test_search_takes_the_best_trial_and_is_not_repeated(
    bases: dict[str, Path], dataset: Dataset, tmp_path: Path
) -> None:
    settings = config(bases["llama"], tmp_path / "a", max_steps=4)
    chosen, trials = search(settings, dataset, trials=3, sampler="random", steps=2)
    best = min(trials, key=lambda t: t.loss)
    assert len(trials) == 3
    assert (chosen.loop.rate, chosen.dials.rank, chosen.loop.max_steps) == (
        best.settings["rate"],
        best.settings["rank"],
        4,
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.work"]
    assert search(settings, dataset, trials=3, sampler="grid", steps=2) == (chosen, trials)
    assert finetune(chosen, lambda: dataset).steps == 4


def test_dataset_is_kept_whole(dataset: Dataset, tmp_path: Path) -> None:
    write_dataset(tmp_path / "examples.json", dataset)
    assert read_dataset(tmp_path / "examples.json").digest() == dataset.digest()


def test_tensorboard_events_are_written(bases: dict[str, Path], dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    finetune(replace(config(bases["llama"], tmp_path / "a", max_steps=2), tensorboard=True), lambda: dataset)
    (events,) = (tmp_path / "a.work" / "tensorboard").iterdir()
    assert b"held_out/rerank" in events.read_bytes()
