"""Results say what the film says in whatever characters it is written."""

from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from result_films import Film, as_file, film

import hilum
from hilum.dicom.results import result_objects

JAPANESE, KOREAN = "Yamada^Tarou=山田^太郎=やまだ^たろう", "Hong^Gildong=洪^吉洞=홍^길동"
# (Specific Character Set, a name, a text); an empty first value is ISO 2022's own way to say ASCII
SETS: list[tuple[str | list[str], str, str]] = [
    ("ISO_IR 192", JAPANESE, "胸部単純"),
    (["", "ISO 2022 IR 87"], JAPANESE, "胸部単純"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", "胸部"),
    (["", "ISO 2022 IR 149"], KOREAN, "흉부"),
    ("GB18030", "Wang^XiaoDong=王^小东", "胸部"),
    ("ISO_IR 144", "Иванов^Иван", "Грудь"),
    ("ISO_IR 100", "Müller^Änne", "Röntgen"),
    ("ISO_IR 999", "Mueller^Aenne", "Roentgen"),
]


def written(characters: str | list[str], name: str, text: str) -> Dataset:
    """A film with texts at its top and in sequences, read from its file as an archive has it."""
    procedure, other, issuer = Dataset(), Dataset(), Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator, procedure.CodeMeaning = "1", "99X", text
    other.PatientID, other.TypeOfPatientID, other.IssuerOfPatientID = "X-1", "TEXT", text
    issuer.UniversalEntityID, issuer.UniversalEntityIDType = text, "DNS"
    other.IssuerOfPatientIDQualifiersSequence = [issuer]  # an item within an item
    made = film(
        "CR",
        SpecificCharacterSet=characters,
        PatientName=name,
        StudyDescription=text,
        ProcedureCodeSequence=[procedure],
        OtherPatientIDsSequence=[other],
    )
    return dcmread(BytesIO(as_file(made)))


@pytest.mark.filterwarnings("ignore:Unknown encoding")
@pytest.mark.parametrize(("characters", "name", "text"), SETS)
def test_names_and_texts_are_the_films_own_also_in_sequences(
    model: hilum.Model,
    films: dict[str, Film],
    characters: str | list[str],
    name: str,
    text: str,
) -> None:
    for made in result_objects(model, written(characters, name, text), films["CR"].prediction):
        read = dcmread(BytesIO(as_file(made)))
        other = read.OtherPatientIDsSequence[0]
        assert (read.SpecificCharacterSet, str(read.PatientName)) == ("ISO_IR 192", name)
        assert read.StudyDescription == read.ProcedureCodeSequence[0].CodeMeaning == text
        assert other.IssuerOfPatientID == text
        assert other.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == text


def test_items_of_sequences_bring_neither_private_elements_nor_values_that_are_none(
    model: hilum.Model, films: dict[str, Film]
) -> None:
    made = written("ISO_IR 100", "Müller^Änne", "Röntgen")
    item = made.OtherPatientIDsSequence[0]
    item.SpecificCharacterSet = "ISO_IR 100"
    item.private_block(0x0011, "Maker", create=True).add_new(1, "LO", "private")
    for each in result_objects(model, made, films["CR"].prediction):
        read = dcmread(BytesIO(as_file(each))).OtherPatientIDsSequence[0]
        assert "SpecificCharacterSet" not in read
        assert not any(element.tag.is_private for element in read)
