"""What a tab has its model write, how, and what it measures for whoever looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tlab_dash import surprise
from tlab_dash.text_names import text_name


class WritingTexts:
    """The part of a Session that lets its run write, and be analysed."""

    def write(self, *, again: bool = False, **changes) -> None:
        """Write at once in another way: `changes` to fields of the Request, such as `top_k=5`; `again`, other dice.

        A prompt that can't be read is left out, and `prompt_message` says why. Raises GenerationError for a setting that
        nothing can be drawn with.
        """
        if "prompt" in changes:
            self.prompt_message = self._objection(changes["prompt"])
            if self.prompt_message:
                del changes["prompt"]
        if again:
            changes["seed"] = self.request.seed + 1
        self.request = replace(self.request, **changes)
        self._seat.write(self.request)

    @property
    def prompt(self) -> str:
        """Return the text that the model is to write on from; empty is the run's own."""
        return self.request.prompt

    def _objection(self, prompt: str) -> str:
        if not prompt:
            return "Type at least one character to write on from."
        unknown = self.run.tokenizer.unknown(prompt) if self.run is not None else []
        if unknown:
            named = ", ".join(surprise.named(character) for character in unknown[:5])
            verb, what = ("occurs", "it") if len(unknown) == 1 else ("occur", "them")
            return f"{named} never {verb} in {text_name(self.experiment.corpus)}, so the model can't read {what}."
        return ""

    def want(self, needs: Iterable[Callable[..., dict[str, dict]]]) -> None:
        """Keep taking the analyses, {name: options}, that each `need(run, selection)` names, of the run and its ghost."""
        runs = [run for run in (self.run, self.ghost) if run is not None]
        shown = self.selection.held(self.run) if runs else self.selection  # or the ghost's liveliest head would be measured
        wanted = [(run, name, options) for run in runs for need in needs for name, options in need(run, shown).items()]
        self._seat.want(tuple(wanted))

    @property
    def text(self):
        """Return the newest `Text`, or None."""
        return self._seat.text
