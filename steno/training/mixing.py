"""The mean of several models' weights: of steps of one training, or of a model and what was fine-tuned from it.

Models that one was trained on from the other lie close enough for the mean of their weights to be a model too, often a
better one than each, at the cost of one. Source: Wortsman et al., "Model soups", ICML 2022, and "Robust fine-tuning of
zero-shot models", CVPR 2022.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

import steno
from steno.errors import ModelError
from steno.export.folder import new_folder
from steno.export.torch_model import fresh_model
from steno.runtime.folder import CARD, CONFIG, FolderConfig, digest, read_config
from steno.training.publish import write_model
from steno.training.start import stored_weights

_SAME = ("features", "tokenizer")


def mix(
    folders: Sequence[Path], shares: Sequence[float], names: Sequence[str], target: Path, say: Callable[[str], None]
) -> FolderConfig:
    """Write a model folder with the weighted mean of the weights; its sizes and its name are those of the first.

    What only some of the models have, as a model's phonemes, is the mean of those.

    Args:
        folders: model folders of one family, features and labels.
        shares: of each in the mean; they need not add up to one.
        names: what the user called them, for the card.
        target: a new folder.
        say: takes one line for the user.

    Raises:
        ModelError: a folder is not whole, or is of another model.
        StenoError: the target is not empty.
    """
    configs = [read_config(folder) for folder in folders]
    for name, config in zip(names, configs, strict=True):
        _check(name, config, names[0], configs[0])
    found = [stored_weights(folder, config) for folder, config in zip(folders, configs, strict=True)]
    mean, rare = dict(found[0]), []
    for name in (name for name in mean if name.startswith("encoder.")):
        holders = [(share, part[name].float()) for share, part in zip(shares, found, strict=True) if name in part]
        if any(tensor.shape != mean[name].shape for _, tensor in holders):
            raise ModelError(f"{name} is not of the same size in each: these are not steps of one model")
        if len(holders) < len(found):
            rare.append(name)
        weights = torch.tensor([share for share, _ in holders])
        if not weights.any():  # what only models without a share have stays the first one's
            continue
        stacked = torch.stack([tensor for _, tensor in holders])
        mean[name] = torch.tensordot(weights / weights.sum(), stacked, dims=1).to(mean[name].dtype)
    if rare:
        say(f"not in all of them: {', '.join(rare)}")
    model = fresh_model(configs[0])
    model.load_state_dict(mean)
    parts = [
        {"model": name, "share": round(share / sum(shares), 4), "digest": digest(folder / CONFIG)}
        | {key: config.provenance[key] for key in ("train", "mean_of") if key in config.provenance}
        for name, share, folder, config in zip(names, shares, folders, configs, strict=True)
    ]
    config = FolderConfig(
        **configs[0].model_dump(exclude={"decoding", "provenance", "files"}),
        provenance={"steno": steno.__version__, "mean_of": parts},
    )
    with new_folder(target) as (scratch, keep):
        write_model(scratch, config, model)
        (scratch / CARD).write_text(_card(config, parts), encoding="utf-8")
        keep()
    return config


def _check(name: str, config: FolderConfig, first_name: str, first: FolderConfig) -> None:
    if config.model.architecture != first.model.architecture:
        raise ModelError(f"{name}: a {config.model.architecture}, and {first_name} is a {first.model.architecture}")
    for key in _SAME:
        if getattr(config, key) != getattr(first, key):
            raise ModelError(
                f"{name}: its {key} are not those of {first_name}", "Only models that share them have a mean."
            )
    if config.phonemes and first.phonemes and config.phonemes.symbols != first.phonemes.symbols:
        raise ModelError(f"{name}: its phonemes are not those of {first_name}")


def _card(config: FolderConfig, parts: Sequence[dict[str, Any]]) -> str:
    rows = "\n".join(
        f"| `{part['model']}` | {part['share']:.0%} | {_trained_on(part)} | {part['digest']} |" for part in parts
    )
    return f"""# {config.name}

The mean of these models' weights, by Steno {steno.__version__}. Their cards say more.

| model | share | trained on | SHA-256 of its configuration |
|---|---|---|---|
{rows}

It was not measured: `steno evaluate` does that.
"""


def _trained_on(part: dict[str, Any]) -> str:
    if "mean_of" in part:
        return f"a mean of {len(part['mean_of'])} models"
    train, unknown = part.get("train", {}), "not known"  # of a configuration that somebody may have changed
    return f"`{train.get('manifest', unknown)}`, digest {train.get('digest', unknown)}" if train else unknown
