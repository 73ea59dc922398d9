"""Pre-training of the built-in base language model on a CPU within a wall-clock or token budget.

``python -m vouchrec.finetune.pretrain --data DATA --out OUT --minutes 70`` trains the tokenizer, tokenises the corpus
and trains the model; started again with the same ``--out`` it goes on from the newest checkpoint. ``OUT`` then holds
``tokenizer/``, ``corpus/``, ``checkpoints/``, ``log.jsonl``, ``latest/`` (a model to load, renewed as training goes on)
and, at the end, ``model/`` and ``loss.png``.

Two settings of the environment are worth their line on a small shared machine: ``OMP_WAIT_POLICY=passive`` (threads do
not spin while others wait for the processor) and
``GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184`` (large tensors keep
their memory between steps; without it up to a third of the time goes into page faults). The model runs eagerly:
`torch.compile` gave 2,610 tokens a second against 2,590 here, after half a minute of compiling.
"""

import json
import logging
import time
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import GenerationConfig, OPTConfig, OPTForCausalLM, PreTrainedTokenizerFast

from vouchrec.finetune import checkpoints
from vouchrec.finetune.corpus import Shards, build_shards, load_shards, train_corpus_tokenizer
from vouchrec.finetune.plot import plot_losses
from vouchrec.finetune.tokenizer import BOS, END, MAX_LENGTH, PAD, load_tokenizer
from vouchrec.finetune.trainer import PretrainConfig, Trainer
from vouchrec.finetune.warmstart import encoder_folder, warm_decoder

__all__ = ["PretrainConfig", "export", "new_model", "prepare", "pretrain"]

_log = logging.getLogger(__name__)


def new_model(config: PretrainConfig, tokenizer: PreTrainedTokenizerFast) -> OPTForCausalLM:
    """A decoder in float32 with tied embeddings, new or warm-started from the packaged sentence encoder.

    Args:
        config: its shape and seed, and whether its weights start from the encoder's.
        tokenizer: decides the number of embeddings and the special ids.

    Raises:
        ValueError: if the weights shall start from the encoder and the shapes differ.
    """
    torch.manual_seed(config.seed)
    vocabulary = tokenizer.get_vocab()
    # Layer norms after the residual sums, GELU and learned positions: the one stock decoder of the encoder's own form.
    shape = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden,
        word_embed_proj_dim=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        ffn_dim=config.intermediate,
        max_position_embeddings=MAX_LENGTH,
        do_layer_norm_before=False,
        activation_function="gelu",
        dropout=0.0,
        attention_dropout=0.0,
        tie_word_embeddings=True,
        bos_token_id=vocabulary[BOS],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[PAD],
    )
    model = OPTForCausalLM(shape)
    if config.warm_start:
        warm_decoder(model, tokenizer, encoder_folder(), seed=config.seed)
    return model


def export(trainer: Trainer, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    """Write the model as it stands: safetensors in bfloat16, tokenizer, generation settings and held-out losses.

    Args:
        trainer: the run; its model is in bfloat16.
        tokenizer: goes with the model.
        folder: replaced as a whole once everything is written.

    Returns:
        ``folder``, to load by ``AutoModelForCausalLM.from_pretrained``.
    """
    unfinished = folder.with_name(f".{folder.name}.part")
    vocabulary = tokenizer.get_vocab()
    trainer.model.generation_config = GenerationConfig(
        bos_token_id=vocabulary[BOS],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[PAD],
        do_sample=True,
        temperature=0.8,
        top_p=0.95,
        max_new_tokens=128,
    )
    trainer.model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    figures = {"step": trainer.step, "tokens": trainer.tokens, "held_out": trainer.evaluate()}
    (unfinished / "training.json").write_text(json.dumps(figures, indent=2) + "\n")
    checkpoints.replace_folder(unfinished, folder)
    return folder


def prepare(config: PretrainConfig) -> tuple[PreTrainedTokenizerFast, Shards]:
    """Tokenizer and shards of a run, made where they are not there yet."""
    folder = config.out / "tokenizer"
    if not (folder / "tokenizer.json").is_file():
        train_corpus_tokenizer(config.data).save_pretrained(folder)
    tokenizer = load_tokenizer(folder)
    return tokenizer, load_shards(build_shards(config.data, config.out / "corpus", tokenizer, seed=config.seed))


def pretrain(config: PretrainConfig) -> Path:
    """Train until the budget is spent; goes on from a checkpoint in ``config.out`` if there is one.

    Returns:
        The folder of the finished model, ``config.out / "model"``.

    Raises:
        FileNotFoundError: if the corpus is not built yet and a data set is missing.
        ValueError: if the checkpoint belongs to a model of another shape.
    """
    torch.set_num_threads(config.threads)
    tokenizer, shards = prepare(config)
    trainer = Trainer(config, new_model(config, tokenizer), shards)
    if trainer.resume():
        _log.info("going on from step %d", trainer.step)
    log = config.out / "log.jsonl"
    _cut_log(log, trainer.step)
    _run(trainer, tokenizer, log)
    model = export(trainer, tokenizer, config.out / "model")
    try:
        plot_losses(log, config.out / "loss.png")
    except ImportError as error:  # a missing picture is no reason to lose a finished model
        _log.warning("%s", error)
    return model


def _cut_log(log: Path, step: int) -> None:
    """Drop what was logged after the checkpoint from which training goes on: those steps are done again."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.is_file() else []
    log.write_text("".join(line for line in lines if json.loads(line)["step"] <= step), encoding="utf-8")


def _run(trainer: Trainer, tokenizer: PreTrainedTokenizerFast, log: Path) -> None:
    """Steps with logging, evaluation, checkpoints and exports, until the budget is spent."""
    config = trainer.config
    saved = exported = before = trainer.seconds
    started = time.monotonic()
    with log.open("a", encoding="utf-8") as lines, tqdm(total=100, unit="%", disable=None) as bar:
        while trainer.progress() < 1:
            loss = trainer.train_step()
            trainer.seconds = before + time.monotonic() - started
            lines.write(json.dumps(_entry(trainer, loss)) + "\n")
            lines.flush()
            bar.update(100 * trainer.progress() - bar.n)
            if trainer.seconds - saved > 60 * config.checkpoint_minutes:
                trainer.save()
                saved = trainer.seconds
            if trainer.seconds - exported > 60 * config.export_minutes:
                export(trainer, tokenizer, config.out / "latest")
                exported = trainer.seconds
    trainer.save()
    export(trainer, tokenizer, config.out / "latest")


def _entry(trainer: Trainer, loss: float) -> dict[str, object]:
    """One line of the log; every ``eval_steps`` steps with the held-out losses."""
    entry: dict[str, object] = {
        "step": trainer.step,
        "tokens": trainer.tokens,
        "seconds": round(trainer.seconds, 1),
        "loss": round(loss, 4),
    }
    if trainer.step % trainer.config.eval_steps == 0:
        held_out = {name: round(value, 4) for name, value in trainer.evaluate().items()}
        _log.info("step %d, %d tokens, held-out losses %s", trainer.step, trainer.tokens, held_out)
        entry["held_out"] = held_out
    return entry


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description="Pre-train the built-in base model.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=70.0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pretrain(PretrainConfig(data=arguments.data, out=arguments.out, minutes=arguments.minutes))
