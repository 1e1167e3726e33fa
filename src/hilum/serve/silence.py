"""What libraries write about a film, its headers or a request is not written anywhere."""

import logging
import os
import warnings

OWN = "hilum"  # the loggers whose words hold nothing of a film or a client


def mute_process() -> None:
    """Let nothing that this process writes reach a terminal or a log.

    Readers of images quote what they find (pydicom: a header's value), and C libraries write to the
    file descriptors themselves.
    """
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def keep_own_words() -> None:
    """Let this process log what hilum itself says, and nothing of the libraries.

    The parser of forms quotes bytes of a body; asyncio quotes errors, whose words may quote a film.
    """
    warnings.simplefilter("ignore")
    handler = logging.StreamHandler()
    handler.addFilter(logging.Filter(OWN))
    logging.getLogger().handlers = [handler]
