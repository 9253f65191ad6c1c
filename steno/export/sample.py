"""Utterances for a parity report: some of a manifest, always the same ones."""

import numpy as np

from steno.data.manifest import Manifest, Utterance


def chosen(manifest: Manifest, count: int) -> list[Utterance]:
    """So many utterances with text, evenly spread over the manifest; all of them if there are fewer."""
    with_text = [utterance for utterance in manifest if (utterance.text or "").strip()]
    if len(with_text) <= count:
        return with_text
    return [with_text[i] for i in np.linspace(0, len(with_text) - 1, count).astype(int)]
