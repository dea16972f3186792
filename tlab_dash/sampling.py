"""How a text is drawn: what a page's controls for prompt, temperature, top-k, top-p and dice show and set."""

from __future__ import annotations

import param

from tlab_dash.component import STATIC, Component
from tlab_dash.session import Session

MOST_DICE = 2**31 - 1
LEAST_TOP_P = 0.05
DICE_ARE_NUMBERED = f"Dice are numbered with whole numbers from 0 to {MOST_DICE:,}."


class Sampling(Component):
    """What shows a session's newest text and sets how the next one is drawn.

    Numbers that come from the page are brought into their bounds; dice with another number are refused in words.
    """

    prompt = param.String(default="", doc="What the model writes on from.")
    message = param.String(default="", doc="Why what was typed last is not used.")
    drawing = param.Dict(default={}, doc=(
        "temperature, top_k and top_p (None: all), seed: how the text is drawn. most: how many characters there are."))

    __abstract = True

    def __init__(self, session: Session, **params):
        super().__init__(sizing_mode="stretch_both", **params)
        self._session = session
        self._dice_message = ""
        self.refresh()

    def refresh(self) -> None:
        """Show how the session's text is drawn now."""
        session, request = self._session, self._session.request
        self.param.update(
            prompt=request.prompt or (session.run.experiment.prompt if session.run is not None else ""),
            message=self._dice_message or session.prompt_message,
            drawing={
                "temperature": request.temperature, "top_k": request.top_k, "top_p": request.top_p, "seed": request.seed,
                "most": self._most(),
            },
        )

    def on_temperature(self, temperature: float) -> None:
        """Write at once at another temperature."""
        self._write(temperature=min(2.0, max(0.0, float(temperature))))

    def on_top_k(self, count: int) -> None:
        """Draw from so many of the likeliest characters; from as many as there are is from all."""
        count = max(1, int(count))
        self._write(top_k=count if count < self._most() else None)

    def on_top_p(self, share: float) -> None:
        """Draw from the fewest likeliest characters that together have this probability; 1 is from all."""
        share = max(LEAST_TOP_P, float(share))
        self._write(top_p=share if share < 1 else None)

    def on_seed(self, seed: int) -> None:
        """Write at once with the dice of that number."""
        whole = isinstance(seed, int | float) and 0 <= seed <= MOST_DICE and seed == int(seed)
        if whole:
            self._write(seed=int(seed))
        else:
            self._dice_message = DICE_ARE_NUMBERED
            self.refresh()

    def on_prompt(self, prompt: str) -> None:
        """Write at once from another prompt."""
        self._write(prompt=str(prompt))

    def on_again(self, _) -> None:
        """Write at once with other dice."""
        self._write(again=True)

    def _write(self, **changes) -> None:
        self._dice_message = ""
        self._session.write(**changes)
        self.refresh()

    def _most(self) -> int:
        run = self._session.run
        return run.tokenizer.vocab_size if run is not None else 1


def script(*names: str) -> str:
    """Return files of static/ as one script; the last one renders, with the functions of those before it.

    A component's script is one module, which can't import another file from where the page comes from.
    """
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)
