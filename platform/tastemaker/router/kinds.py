"""What a call of a dialogue is an answer to, in a few fixed words: the rows of the report."""

SEARCHED, PRICED, REPRICED = "search", "search with price", "price follow-up"
CHEAPER, RECOLORED = "cheaper follow-up", "colour follow-up"
BY_PLACE, BY_WORDS, BY_LIST = "similar by place", "similar by words", "similar to a list"
RECOMMENDED, VARIED, OUTCOME = "recommend", "recommend variety", "recommend by outcome"
BOARD, OPENED, SAVED = "complete a board", "open a board", "save a board"
ROOM, PICTURE = "shop a room", "similar to a picture"
SECOND, SHOWN, FAULT = "second step", "answer with items", "after a fault"
TALK, NO_LIST = "small talk", "nothing to refer to"
KINDS = (
    SEARCHED, PRICED, REPRICED, CHEAPER, RECOLORED, BY_PLACE, BY_WORDS, BY_LIST, RECOMMENDED,
    VARIED, OUTCOME, BOARD, OPENED, SAVED, ROOM, PICTURE, SECOND, SHOWN, FAULT, TALK, NO_LIST,
)  # fmt: skip
