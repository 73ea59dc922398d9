"""Fine-tuning on tiny models of three architectures: packing, labels, and an adapter that appears only when it is whole."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from vouchrec.agent.llm.base import Message
from vouchrec.agent.llm.local import LocalModel
from vouchrec.finetune import tune as tuning
from vouchrec.finetune.examples import Example
from vouchrec.finetune.lora import LoraDials
from vouchrec.finetune.tune import (
    IGNORE,
    Encoded,
    TuneConfig,
    answer_loss,
    encode,
    evaluate,
    example_mask,
    pack,
    rate_at,
    tune,
)
from vouchrec.retrieval.errors import ConfigError, ModelError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning"),  # peft asks transformers
    pytest.mark.filterwarnings("ignore:.*pin_memory:UserWarning"),
]
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
EXAMPLES = [
    Example("understand" if n % 2 else "reason", f"g{n}", (Message("user", "ask " + "x" * (n % 5)),), f"answer {n}")
    for n in range(12)
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(["ask answer xx"] * 9, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>")
    made.chat_template = TEMPLATE
    return made


def make(kind: str, size: int) -> PreTrainedModel:
    torch.manual_seed(2)
    if kind == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=size,
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=128,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=1,
                initializer_range=0.3,
            )
        )
    if kind == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(vocab_size=size, n_embd=16, n_layer=2, n_head=2, n_positions=128, bos_token_id=1, eos_token_id=1)
        )
    if kind == "opt":  # the built-in model's architecture
        return OPTForCausalLM(
            OPTConfig(
                vocab_size=size,
                hidden_size=16,
                word_embed_proj_dim=16,
                ffn_dim=24,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=128,
                do_layer_norm_before=False,
                dropout=0.0,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=1,
            )
        )
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=size,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=128,
            bos_token_id=1,
            eos_token_id=1,
            initializer_range=0.3,
        )
    )


@pytest.fixture(scope="module", params=["llama", "gpt2", "gpt_neox", "opt"])
def base(
    request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    make(request.param, len(tokenizer)).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


# ---- encoding and packing ----------------------------------------------------------------------------------------


def test_only_the_answer_is_learned(tokenizer: PreTrainedTokenizerFast) -> None:
    for example in EXAMPLES:
        encoded = encode(tokenizer, example)
        assert len(encoded.ids) == len(encoded.labels)
        learned = [i for i in encoded.labels if i != IGNORE]
        assert tokenizer.decode(learned) == f"{example.answer}<|end|>"
        prompt = encoded.ids[: len(encoded.ids) - len(learned)]
        assert tokenizer.decode(list(prompt)) == f"<|user|>{example.messages[0].content}<|end|><|assistant|>"
        assert set(encoded.labels[: len(prompt)]) == {IGNORE}


def test_answer_is_cut_from_the_prompt_where_serving_cuts(tokenizer: PreTrainedTokenizerFast) -> None:
    merging = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>")
    merging.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}\nan{% else %}"
        "{{ m.content }}<|end|>{% endif %}{% endfor %}"
    )
    encoded = encode(merging, Example("reason", "g", (Message("user", "ask"),), "swer"))
    prompt = merging.encode("ask\nan", add_special_tokens=False)
    assert list(encoded.ids[: len(prompt)]) == prompt
    assert merging.decode([i for i in encoded.labels if i != IGNORE]) == "swer<|end|>"


def test_packing_cuts_nothing_and_starts_positions_anew() -> None:
    examples = [Encoded(tuple([n + 1] * n), tuple([IGNORE] * (n - 1) + [n + 1])) for n in range(2, 12)]
    examples.append(Encoded(tuple([99] * 21), tuple([99] * 21)))  # longer than a row: left out
    found: list[int] = []
    for ids, labels, positions, weights in pack(examples, 20, random.Random(0)):
        assert ids.shape == labels.shape == positions.shape == weights.shape == (20,)
        starts = [*(positions == 0).nonzero().flatten().tolist(), 20]
        for start, stop in itertools.pairwise(starts):
            assert positions[start:stop].tolist() == list(range(stop - start))
            if ids[start] != 0:
                assert ids[start:stop].tolist() == [stop - start + 1] * (stop - start)
                found.append(stop - start)
            else:
                assert set(labels[start:stop].tolist()) == {IGNORE}
    assert sorted(found) == list(range(2, 12))


def test_mask() -> None:
    mask = example_mask(torch.tensor([[0, 1, 0, 1, 2]]))[0, 0]
    assert mask.int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox", "opt"])
def test_packed_examples_do_not_see_one_another(tokenizer: PreTrainedTokenizerFast, kind: str) -> None:
    model = make(kind, len(tokenizer)).eval()
    encoded = [encode(tokenizer, e) for e in EXAMPLES[:4]]
    with torch.inference_mode():
        whole, count, alone = 0.0, 0.0, list[float]()
        for one in encoded:
            ids, labels = torch.tensor([one.ids]), torch.tensor([one.labels])
            learned = int((labels != IGNORE).sum())
            logits = model(input_ids=ids).logits[:, :-1]
            loss = float(torch.nn.functional.cross_entropy(logits[0], labels[0, 1:], reduction="sum"))
            whole += one.weight * loss
            count += one.weight * learned
            alone.append(loss / learned)
        (row,) = list(pack(encoded, 128, random.Random(0)))
        packed = answer_loss(model, *(part[None] for part in row))
    assert float(packed) == pytest.approx(whole / count, rel=1e-4)
    assert {one.weight for one in encoded} == {1.0, 4.0}  # both skills
    assert evaluate(model, encoded[:1], 40) == pytest.approx(alone[0], rel=1e-4)


def test_learning_rate() -> None:
    config = TuneConfig("b", Path("o"), rate=1.0, warmup=10)
    assert rate_at(0.0, 0, config) == pytest.approx(0.1)
    assert rate_at(0.0, 9, config) == pytest.approx(1.0)
    assert rate_at(1.0, 100, config) == pytest.approx(0.02)


# ---- whole runs --------------------------------------------------------------------------------------------------


@pytest.fixture
def three_steps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the loop reads as one minute per optimizer step; the budget is three of them."""
    losses: list[float] = []
    step = tuning._step

    def counted(*arguments: object) -> float:
        losses.append(step(*arguments))  # type: ignore[arg-type]
        return losses[-1]

    monkeypatch.setattr(tuning, "_step", counted)
    monkeypatch.setattr(tuning.time, "monotonic", lambda: 60.0 * len(losses))
    return losses


def config(base: Path, out: Path) -> TuneConfig:
    return TuneConfig(str(base), out, minutes=3, warmup=1, length=64, batch=2, rate=1e-2, dials=LoraDials(rank=2))


def test_run_writes_a_loadable_adapter(base: Path, tmp_path: Path, three_steps: list[float]) -> None:
    losses = tune(config(base, tmp_path / "adapter"), EXAMPLES[:8], EXAMPLES[8:])
    assert len(three_steps) == 3
    assert set(losses) == {"understand", "reason"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter"]
    tuned = LocalModel(str(base), adapter=tmp_path / "adapter", dtype=torch.float32)
    plain = LocalModel(str(base), dtype=torch.float32)
    assert (tuned.specialist, plain.specialist) == (True, False)
    ask = EXAMPLES[0].messages
    assert tuned.score(ask, ["answer"]) != plain.score(ask, ["answer"])


def test_interrupted_run_leaves_no_adapter(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def stop(*_arguments: object) -> float:
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "_step", stop)
    with pytest.raises(KeyboardInterrupt):
        tune(config(base, tmp_path / "adapter"), EXAMPLES, EXAMPLES[:2])
    assert calls == [1]
    assert list(tmp_path.iterdir()) == []


def test_failed_save_keeps_the_old_adapter(
    base: Path, tmp_path: Path, three_steps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "adapter"
    old.mkdir()
    (old / "adapter_config.json").write_text("old")

    def fail(*_arguments: object, **_options: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(tuning, "asdict", fail)
    with pytest.raises(OSError, match="disk full"):
        tune(config(base, old), EXAMPLES, [])
    assert (old / "adapter_config.json").read_text() == "old"


def test_bad_settings(base: Path, tmp_path: Path) -> None:
    wrong = TuneConfig(str(base), tmp_path / "a", dials=LoraDials(rank=0))
    with pytest.raises(ConfigError, match="rank 0"):
        tune(wrong, EXAMPLES, [])
    with pytest.raises(ModelError):
        tune(TuneConfig(str(tmp_path), tmp_path / "a"), EXAMPLES, [])
    assert list(tmp_path.iterdir()) == []


def test_run_without_a_fitting_example_is_refused(base: Path, tmp_path: Path) -> None:
    too_long = [Example("reason", "g", (Message("user", "x" * 500),), "answer")]
    for examples in ([], too_long):
        with pytest.raises(ConfigError, match="no example"):
            tune(config(base, tmp_path / "adapter"), examples, [])
