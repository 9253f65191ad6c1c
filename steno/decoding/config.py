"""Settings of decoding, as a model folder keeps them. Needs no numpy."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from steno.config import Fraction, Strict

LogShares = tuple[Annotated[float, Field(le=0)], ...]
"""ln of labels' shares of all frames."""


class CalibrationConfig(Strict):
    """What turns a raw word score p into the chance that the word is right: σ(slope · ln(p / (1 − p)) + offset).

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    """

    slope: float = Field(1.0, ge=0)
    offset: float = 0.0


class DecodingConfig(Strict):
    """How emissions become text.

    The score of a hypothesis is ln p(acoustics) + ``lm_weight`` · ln p(LM) + ``word_score`` · words; without a language
    model of words the frames that are a space count in place of words. ``prior_weight`` · ``label_prior`` is taken off
    each frame's log-probabilities; the prior is ln of the share of all frames that the model gives to each label. What
    it writes often anyway, blanks above all, then says less than what it writes seldom.

    ``lm`` is a file: of the model folder, where the folder's configuration names it. A language model of words limits
    the words to its vocabulary; one of characters does not. Without one, ``beam`` sums over the alignments of each
    reading.

    ``beam`` hypotheses are kept after each frame, those at most ``beam_threshold`` behind the best; each is continued
    by the ``beam_tokens`` best tokens of the frame.

    A second pass over the hypotheses of beam search can change their scores. Of a model that writes phonemes too, and
    knows what its language model's words sound like (``pronunciations``, a file of the model folder), ``phoneme_share``
    of the acoustic score becomes that of the phonemes, less ``prior_weight`` · ``phoneme_prior``; a beam search by the
    phonemes alone finds hypotheses of the ``sound_words`` likeliest words, too, if that is not 0. With a neural
    language model (``neural_lm``, likewise) ``neural_weight`` · ln p(neural LM) is added, and ``neural_share`` of what
    the language model of words gave is taken off.

    Source of the prior: Miao et al., "EESEN: End-to-End Speech Recognition using Deep RNN Models and WFST-based
    Decoding", ASRU 2015, which takes it from transcripts.
    """

    method: Literal["greedy", "beam"] = "greedy"
    beam: int = Field(50, ge=1)
    beam_tokens: int = Field(16, ge=1)
    beam_threshold: float = Field(20.0, gt=0)
    lm: str | None = None
    lm_weight: float = Field(0.5, ge=0)
    word_score: float = Field(0.0, ge=-1000, le=1000)
    prior_weight: float = Field(0.0, ge=0)
    phoneme_share: Fraction = 0.0
    sound_words: int = Field(0, ge=0)
    pronunciations: str | None = None
    neural_lm: str | None = None
    neural_weight: float = Field(0.0, ge=0)
    neural_share: Fraction = 0.0
    label_prior: LogShares = ()
    phoneme_prior: LogShares = ()
    calibration: dict[Literal["greedy", "beam"], CalibrationConfig] = Field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the model folder that are named here."""
        return tuple(name for name in (self.lm, self.pronunciations, self.neural_lm) if name is not None)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.method == "greedy" and self.lm is not None:
            raise ValueError("greedy decoding cannot use a language model; method: beam can")
        if self.prior_weight and not self.label_prior:
            raise ValueError("prior_weight weighs the label_prior, and there is none")
        return self
