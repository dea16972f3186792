"""`tlab generate`: let a saved model write."""

from pathlib import Path

import click

from tlab_core.cli.options import folder_option, json_option, opened
from tlab_core.cli.words import echo_json, printable
from tlab_core.generation import stream
from tlab_core.runs import RunStore


@click.command()
@click.argument("name")
@click.option("--prompt", metavar="TEXT", help="What to write on from.  [default: the run's own]")
@click.option("--length", type=click.IntRange(min=1), default=200, show_default=True, help="How many characters to write.")
@click.option("--temperature", type=click.FloatRange(min=0), default=0.8, show_default=True,
              help="How adventurous: 0 always takes the likeliest character, 1 draws as the model says.")
@click.option("--top-k", type=click.IntRange(min=1), metavar="K", help="Draw from the K likeliest characters only.")
@click.option("--top-p", type=click.FloatRange(min=0, max=1, min_open=True), metavar="P",
              help="Draw from the fewest characters that together have probability P.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which dice.")
@folder_option
@json_option
def generate(name: str, prompt: str | None, length: int, temperature: float, top_k: int | None, top_p: float | None,
             seed: int, folder: Path, as_json: bool) -> None:
    """Write a text with the model of a run, as it was saved last."""
    saved = opened(RunStore(folder), name)
    prompt = saved.experiment.prompt if prompt is None else prompt
    read, model = saved.tokenizer.encode(prompt), saved.model
    tokens = stream(model, read, len(read) + length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    characters = (saved.tokenizer.decode([token]) for token in tokens)
    if as_json:
        echo_json({"name": name, "step": saved.step, "prompt": prompt, "text": "".join(characters),
                   "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed})
        return
    click.echo(printable(prompt), nl=False)
    for character in characters:
        click.echo(printable(character), nl=False)
    click.echo()
