"""Examples -> the built-in models: `pretrain` (base), `tune` (LoRA adapter), `scorer` (collaborative weights).

Each is a command, as in `python -m vouchrec.finetune.tune --help`. Nothing is imported here: training needs heavy libraries.
"""
