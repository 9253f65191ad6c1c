"""What a caller wants of decoding, beside what the model folder says. Needs neither numpy nor pydantic at first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from steno.errors import DecodingError

if TYPE_CHECKING:
    from steno.decoding.config import DecodingConfig

Method = Literal["greedy", "beam"]


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """What a caller wants otherwise than the model folder has it; None is as the folder has it.

    ``lm`` is a language model's path, or ``none`` to do without the folder's. Whoever names no method and asks for
    what only beam search can do gets beam search.
    """

    method: Method | None = None
    lm: str | None = None
    lm_weight: float | None = None
    word_score: float | None = None
    prior_weight: float | None = None
    phoneme_share: float | None = None
    neural_weight: float | None = None
    beam: int | None = None
    hotwords: tuple[str, ...] = ()
    nbest: int = 1

    def needs_beam(self) -> list[str]:
        """The options given that only beam search can honour."""
        asked = {
            "lm": self.lm is not None and self.lm != "none",
            "lm-weight": self.lm_weight is not None,
            "word-score": self.word_score is not None,
            "prior-weight": self.prior_weight is not None,
            "phoneme-share": self.phoneme_share is not None,
            "neural-weight": self.neural_weight is not None,
            "beam": self.beam is not None,
            "hotwords": bool(self.hotwords),
            "nbest": self.nbest > 1,
        }
        return [f"--{name}" for name, given in asked.items() if given]


def settle(stored: "DecodingConfig", options: DecodingOptions) -> "DecodingConfig":
    """The settings that apply.

    Raises:
        DecodingError: greedy decoding was chosen together with what it cannot honour, or a weight for no language
            model or no label prior.
    """
    needs = options.needs_beam()
    if options.method == "greedy":
        if needs:
            raise DecodingError(
                f"greedy decoding cannot use {', '.join(needs)}", "Leave it out, or choose --decoder beam."
            )
        return stored.model_copy(update={"method": "greedy", "lm": None})
    if options.nbest < 1:
        raise DecodingError(f"--nbest {options.nbest} is not at least 1")
    method = options.method or ("beam" if needs else stored.method)
    lm = stored.lm if options.lm is None else None if options.lm == "none" else options.lm
    if options.lm_weight is not None and lm is None:
        raise DecodingError("--lm-weight has no language model to weigh", "Name one with --lm.")
    if options.prior_weight and not stored.label_prior:
        raise DecodingError(
            "--prior-weight: the model folder does not say how often the model writes each label",
            "`steno lm tune` finds that out, and a good weight.",
        )
    if options.phoneme_share and (stored.pronunciations is None or lm is None):
        raise DecodingError(
            "--phoneme-share: the model folder does not say what words sound like"
            if stored.pronunciations is None
            else "--phoneme-share needs the words of a language model",
            "`steno lm tune` adds that to a model that was trained with phonemes.",
        )
    if options.neural_weight and (stored.neural_lm is None or lm != stored.lm):
        raise DecodingError(
            "--neural-weight: the model folder has no neural language model"
            if stored.neural_lm is None
            else "--neural-weight: the neural language model goes with the n-grams that it was tuned with",
            "`steno lm tune --neural` adds one.",
        )
    names = ("lm_weight", "word_score", "prior_weight", "phoneme_share", "neural_weight", "beam")
    given = {name: getattr(options, name) for name in names}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if options.lm == "none" and stored.lm is not None:  # what was tuned together with the language model
        changes = {"word_score": 0.0, "prior_weight": 0.0, **changes}
    calibration = stored.calibration
    if changes.get("neural_weight") == 0:  # nothing takes the n-grams' place
        changes["neural_share"] = 0.0
    if lm != stored.lm:  # what was found with the language model that was tuned: how its words sound, confidences
        changes = {"phoneme_share": 0.0, "neural_weight": 0.0, "neural_share": 0.0, **changes}
        calibration = {name: value for name, value in calibration.items() if name != "beam"}
    changes |= {"method": method, "lm": lm if method == "beam" else None, "calibration": calibration}
    from steno.config import validate

    return validate(type(stored), stored.model_dump() | changes, "decoding options", DecodingError)
