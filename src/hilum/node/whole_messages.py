"""C-STORE requests written to the connection in one piece.

Archives take pieces of 16 KiB (DICOM PS3.8 9.3.5, P-DATA-TF), 250 for a picture. pynetdicom hands
each to a thread of its own, which waits for Python's lock after each while others compute.
https://dicom.nema.org/medical/dicom/current/output/chtml/part08/sect_9.3.5.html
"""

from typing import Any

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu import P_DATA_TF


class WholeMessages(DIMSEServiceProvider):
    """Messages of an association that is open, and that sends nothing but C-STORE requests.

    Whatever comes is an answer. The association's own thread looks for requests meanwhile, and
    could take an answer that is quick: the one who waits for it would wait in vain.
    """

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Write a request; where that fails, there is no answer to it."""
        message = C_STORE_RQ()
        message.primitive_to_message(primitive)
        pieces = message.encode_msg(context_id, self.maximum_pdu_size)
        connection = self.dul.socket
        if connection is not None:
            connection.send(b"".join(P_DATA_TF(piece).encode() for piece in pieces))

    def get_msg(self, block: bool = False) -> Any:
        """An answer, for those alone who wait for it."""
        return super().get_msg(block) if block else (None, None)
