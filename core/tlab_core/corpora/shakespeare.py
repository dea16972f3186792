"""Tiny Shakespeare: the text that character models are compared on, fetched once over the network."""

import logging
from functools import cache
from pathlib import Path

import pooch

from tlab_core.corpora.base import CORPORA, Corpus, CorpusError

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
FILE = "tiny_shakespeare.txt"
SECONDS = 20  # to wait for the server before saying that there is no network
WITHOUT_NETWORK = "Without it, pass the path of a copy instead of the name, or take 'stories', which needs no network."


@CORPORA.register("tiny-shakespeare")
@cache
def tiny_shakespeare() -> Corpus:
    """Forty thousand lines of Shakespeare's plays (needs the network once, 1.1 MB)."""
    return corpus_from(fetch())


def fetch(url: str = URL) -> Path:
    """Return the path of the text, fetched on first use and kept in the user's cache folder; CorpusError without it."""
    pooch.get_logger().setLevel(logging.WARNING)  # its report of a download has no place on a library user's screen
    cache_folder = pooch.os_cache("transformer-intuition-lab")
    try:
        download = pooch.HTTPDownloader(timeout=SECONDS)
        return Path(pooch.retrieve(url, f"sha256:{SHA256}", FILE, cache_folder, downloader=download))
    except ValueError as error:  # pooch compares the hash
        raise CorpusError(f"what {url} sends is not the Tiny Shakespeare text: its sha256 should be {SHA256}. A proxy or a "
                          f"login page may be in between. {WITHOUT_NETWORK}") from error
    except OSError as error:  # no network, a server that refuses, a full disk
        raise CorpusError(f"the corpus 'tiny-shakespeare' needs the network once, and {url} could not be fetched "
                          f"({type(error).__name__}). {WITHOUT_NETWORK}") from error


def corpus_from(path: Path) -> Corpus:
    """Return the corpus read from `path`; CorpusError when the file is not the known text."""
    found = pooch.file_hash(str(path))
    if found != SHA256:
        raise CorpusError(f"{path} is not the Tiny Shakespeare text: its sha256 is {found}, and should be {SHA256}. "
                          "Delete the file to have it fetched again.")
    text = path.read_bytes().decode("ascii")
    return Corpus("tiny-shakespeare", text, tiny_shakespeare.__doc__, prompt="First Citizen:")
